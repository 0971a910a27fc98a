"""Run periodic tasks each minute, and pause those that fail."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress
from typing import TypeVar

from sqlalchemy import ColumnElement, select
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

# Seconds of the first and of the longest pause after a slow task.
REST_SECONDS, MAX_REST_SECONDS = 60.0, 3600.0
# Failures in a row after which operators are told.
MANY_FAILURES = 5
# Seconds after a pause; a task that has not run by then counts as gone.
ABANDONED_SECONDS = 900.0
Done = TypeVar("Done")
# A function that may return the number of rows it deleted, and whether it has anything to do.
PeriodicTask = tuple[Callable[[Session], object], ColumnElement[bool]]
log = logging.getLogger(__name__)


class Backoff:
    """Pauses tasks that fail; after slow ones, a minute first, then twice as long each time."""

    def __init__(
        self, require_database: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take a function that raises if the database is gone: a task's own error may look so."""
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
        """Run a task; return None if it is paused or fails, so that others run.

        `most` is the longest pause in seconds. After a lock timeout or a bad row the pause is
        short, so that neither silences an alarm for long.
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
        """Count the tasks that failed MANY_FAILURES times in a row and are still run."""
        lately = self._clock() - ABANDONED_SECONDS
        return sum(
            times >= MANY_FAILURES and self._due_at[complaint] > lately
            for complaint, times in self._failures.items()
        )


class PeriodicTasks:
    """Runs the tasks of each minute, each in its own transaction, so that none stops another."""

    def __init__(
        self, sessions: sessionmaker[Session], tasks: dict[str, PeriodicTask], backoff: Backoff
    ) -> None:
        """Take tasks by the text that is logged when they fail."""
        self._sessions = sessions
        self._tasks = tasks
        self._question = select(*(is_due for _, is_due in tasks.values()))
        self._backoff = backoff

    def run(self) -> bool:
        """Run the tasks; return False if BATCH_ROWS were deleted, so that there may be more."""
        if failing := self._backoff.failing():
            note = partial(figures.note, name=figures.FAILING, number=failing)
            self._do("Nobody hears that tasks fail", note)
        left, due = retention.BATCH_ROWS, self._find_due()
        for complaint, (do, _) in self._tasks.items():
            if complaint not in due:
                continue
            done = self._do(complaint, do)
            if done:  # It may have made rows due for another task.
                due = self._find_due()
            left -= done if isinstance(done, int) else 0
            if left <= 0:
                return False
        return True

    def _find_due(self) -> set[str]:
        """Find the tasks that are due, in one statement; if it fails, return all."""
        found = self._do("What is due is not asked about at once", self._ask)
        return set(self._tasks if found is None else compress(self._tasks, found))

    def _ask(self, session: Session) -> Sequence[bool]:
        return session.execute(self._question).one()

    def _do(self, complaint: str, task: Callable[[Session], Done]) -> Done | None:
        """Run one task in a transaction."""

        def do() -> Done:
            with self._sessions.begin() as session:
                return task(session)

        return self._backoff.run(complaint, do)
