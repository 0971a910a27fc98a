"""Run the periodic tasks of each minute, and pause those that fail."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core import retention
from belong_mail.core.database_errors import (
    LOCK_REST_SECONDS,
    NO_DATABASE,
    error_name,
    has_idled,
    is_locked,
    is_too_slow,
)
from belong_mail.ops import figures

# Pause after a task took too long: the first, and the longest.
REST_SECONDS, MAX_REST_SECONDS = 60.0, 3600.0
# The operator is told of a task that failed so often in a row.
MANY_FAILURES = 5
# A task that was not run again for so long after its pause has nothing to do any more.
ABANDONED_SECONDS = 900.0
Done = TypeVar("Done")
# May return how many rows it deleted.
PeriodicTask = Callable[[Session], object]
log = logging.getLogger(__name__)


class Backoff:
    """Pauses tasks that fail; if they take too long for a minute, then twice as long each time."""

    def __init__(
        self, require_database: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what raises while the database is gone: a task's own failure can look like it."""
        self._require_database = require_database
        self._clock = clock
        self._failures = Counter[str]()
        self._due_at: dict[str, float] = {}

    def run(
        self,
        complaint: str,
        task: Callable[[], Done],
        *,
        most: float = MAX_REST_SECONDS,
    ) -> Done | None:
        """Run a task; return None if it is paused or failed, which does not stop others.

        `most` is the longest pause in seconds. After a lock, or a row that no one would write, it
        is short: neither may mute an alarm.
        """
        if self._clock() < self._due_at.get(complaint, 0.0):
            return None
        try:
            done = task()
        except Exception as error:  # noqa: BLE001 - neither failure nor lock stops the others
            is_slow = is_too_slow(error) or has_idled(error)
            if isinstance(error, NO_DATABASE) and not is_slow:
                self._require_database()
            most = most if is_slow and not is_locked(error) else min(most, LOCK_REST_SECONDS)
            wait = min(most, REST_SECONDS * 2 ** min(self._failures[complaint], MANY_FAILURES + 1))
            self._failures[complaint] += 1
            self._due_at[complaint] = self._clock() + wait
            log.error("%s for %.0f s: %s", complaint, wait, error_name(error))  # noqa: TRY400
            return None
        del self._failures[complaint]
        return done

    def failing(self) -> int:
        """Count the tasks that failed many times in a row, and are still run."""
        lately = self._clock() - ABANDONED_SECONDS
        return sum(
            times >= MANY_FAILURES and self._due_at[complaint] > lately
            for complaint, times in self._failures.items()
        )


class PeriodicTasks:
    """Runs what is due each minute, each in its own transaction: none stops another."""

    def __init__(
        self, sessions: sessionmaker[Session], tasks: dict[str, PeriodicTask], backoff: Backoff
    ) -> None:
        """Take tasks by the log's words for their failure."""
        self._sessions = sessions
        self._tasks = tasks
        self._rules = [task for task in tasks.values() if isinstance(task, retention.Rule)]
        self._backoff = backoff

    def run(self) -> bool:
        """Run tasks; return False if there is more than should be done at a time."""
        if failing := self._backoff.failing():
            note = partial(figures.note, name=figures.FAILING, number=failing)
            self._do("Nobody hears that tasks fail", note)
        left, due = retention.BATCH_ROWS, self._due_rules()
        for complaint, task in self._tasks.items():
            if isinstance(task, retention.Rule) and task not in due:
                continue
            done = self._do(complaint, task)
            if done:  # a rule may wait for it
                due = self._due_rules()
            left -= done if isinstance(done, int) else 0
            if left <= 0:
                return False
        return True

    def _due_rules(self) -> set[retention.Rule]:
        """Ask in one statement which rules have something to do; if that fails, try each."""
        ask = partial(retention.due, rules=self._rules)
        due = self._do("What is over is not asked about at once", ask)
        return set(self._rules) if due is None else due

    def _do(self, complaint: str, task: Callable[[Session], Done]) -> Done | None:
        """Run one task in its transaction."""

        def do() -> Done:
            with self._sessions.begin() as session:
                return task(session)

        return self._backoff.run(complaint, do)
