"""Do the periodic tasks of each minute, and leave alone for a while what takes too long."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core import retention
from belong_mail.core.db import NO_DATABASE, error_name, is_locked, is_too_slow

# For what took too long: the first time, and at most.
REST_SECONDS, MAX_REST_SECONDS = 60.0, 3600.0
Done = TypeVar("Done")
# May return how many rows it did away with.
PeriodicTask = Callable[[Session], object]
log = logging.getLogger(__name__)


class Backoff:
    """Leaves tasks alone whose statements take too long: for a minute, then twice as long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = Counter[str]()
        self._due_at: dict[str, float] = {}

    def run(
        self,
        complaint: str,
        task: Callable[[], Done],
        *,
        most: float = MAX_REST_SECONDS,
        most_locked: float = MAX_REST_SECONDS,
    ) -> Done | None:
        """Do a task; None: it rests, or took too long, which is no reason to stop others.

        It rests for so many seconds at most; after a lock that it met, perhaps for fewer.
        """
        if self._clock() < self._due_at.get(complaint, 0.0):
            return None
        try:
            done = task()
        except NO_DATABASE as error:
            if not is_too_slow(error):
                raise
            most = min(most, most_locked) if is_locked(error) else most
            wait = min(most, REST_SECONDS * 2 ** self._failures[complaint])
            self._failures[complaint] += 1
            self._due_at[complaint] = self._clock() + wait
            log.error("%s for %.0f s: %s", complaint, wait, error_name(error))  # noqa: TRY400
            return None
        del self._failures[complaint]
        return done


class PeriodicTasks:
    """Do what is due each minute, each in a transaction of its own: none stops another."""

    def __init__(
        self, sessions: sessionmaker[Session], tasks: dict[str, PeriodicTask], backoff: Backoff
    ) -> None:
        """Take tasks by what the log says when one fails."""
        self._sessions = sessions
        self._tasks = tasks
        self._rules = [task for task in tasks.values() if isinstance(task, retention.Rule)]
        self._backoff = backoff

    def run(self) -> bool:
        """Do tasks; False: as much as should be done at a time is done, and there is more."""
        left, due = retention.BATCH_ROWS, self._due_rules()
        for complaint, task in self._tasks.items():
            if isinstance(task, retention.Rule) and task not in due:
                continue
            done = self._do(complaint, task)
            if done:  # which may be what a rule waits for
                due = self._due_rules()
            left -= done if isinstance(done, int) else 0
            if left <= 0:
                return False
        return True

    def _due_rules(self) -> set[retention.Rule]:
        """Ask what has something to do in one statement; where that fails, try each."""
        ask = partial(retention.due, rules=self._rules)
        due = self._do("What is over is not asked about at once", ask)
        return set(self._rules) if due is None else due

    def _do(self, complaint: str, task: Callable[[Session], Done]) -> Done | None:
        """Do one; a failure leaves nothing behind but its name in the log."""

        def do() -> Done | None:
            try:
                with self._sessions.begin() as session:
                    return task(session)
            except NO_DATABASE:
                raise
            except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
                log.error("%s: %s", complaint, type(error).__name__)  # noqa: TRY400
                return None

        return self._backoff.run(complaint, do)
