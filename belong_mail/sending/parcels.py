"""Between the database and the connections: what is to leave, and what became of it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.feed import WELCOME, Parcel
from belong_mail.mail.message import Envelope
from belong_mail.mail.outcomes import Reply
from belong_mail.sending import outcomes
from belong_mail.sending.journal import Journal, Mark
from belong_mail.sending.models import State
from belong_mail.sending.outcomes import GIVE_BACK, Outcome
from belong_mail.sending.pace import CHUNK, WINDOW, Flow
from belong_mail.sending.writing import Sheet, write

STALE = 2.0
"""Seconds after which it is asked again whether a parcel's reader still wants it."""
FEW = WINDOW - CHUNK
"""When so few in hand have no result, it is time for a transaction and for more."""

log = logging.getLogger(__name__)


class Parcels:
    """Writes what is to leave as connections ask for it, and collects the results."""

    def __init__(self, journal: Journal, flow: Flow) -> None:
        self._journal = journal
        self._flow = flow
        self._waiting: deque[Sheet] = deque()
        self._results: deque[tuple[int, Outcome]] = deque()
        self._unwritten: list[tuple[int, Outcome]] = []
        self._lock = threading.Lock()
        self._condition = threading.Condition(self._lock)
        self._has_news = self._has_rung = False
        self.is_open = False
        self.ring: Callable[[], object] = bool
        self._idle = 0
        self.held: set[int] = set()
        """Deliveries claimed whose outcome the database does not have."""
        self.reasons: list[Reply | None] = []
        """Why the relay must be left alone."""

    def hold(self, ids: Iterable[int]) -> None:
        """Remember that deliveries have been claimed; older news is about fewer."""
        self._has_news = False
        self.held.update(ids)
        self._has_rung = len(self.held) <= FEW

    def put(self, sheets: Iterable[Sheet]) -> None:
        """Let messages leave, unless the relay objected while they were claimed."""
        with self._lock:
            if self.reasons:
                self._results.extend((sheet.id, GIVE_BACK) for sheet in sheets)
                return
            self.is_open = True
            self._waiting.extend(sheets)
            self._condition.notify(min(self._idle, len(self._waiting)))

    def close(self) -> None:
        """Give nothing more away, and give back what waits."""
        with self._lock:
            self.is_open = False
            self._results.extend((sheet.id, GIVE_BACK) for sheet in self._waiting)
            self._waiting.clear()
            self._condition.notify_all()

    @property
    def needs_hands(self) -> bool:
        """Whether something waits and no connection waits for it."""
        return bool(self._waiting) and not self._idle

    def results(self) -> list[tuple[int, Outcome]]:
        """Return what is to be written down; it stays here until `written`."""
        self._unwritten += [self._results.popleft() for _ in range(len(self._results))]
        return self._unwritten

    def written(self) -> None:
        """Forget the results that were returned last: the database has them."""
        ids = [delivery_id for delivery_id, _ in self._unwritten]
        self.held.difference_update(ids)
        self._journal.forget(ids)
        self._unwritten = []

    def take_news(self) -> bool:
        had_news, self._has_news = self._has_news, False
        return had_news

    def due_in(self) -> float | None:
        with self._lock:
            return self._first(time.monotonic())

    def take(self, patience: float) -> Parcel | None:
        while (sheet := self._next(patience)) is not None:
            self._journal.note(sheet.id, Mark.TAKEN)
            written = write(sheet)
            if patience:  # It waits for a connection, at which it is not to blame for anything.
                self._journal.note(sheet.id, Mark.CLAIMED)
            if isinstance(written, Envelope):
                return Parcel(sheet.id, written, sheet.made_at + STALE)
            self._record(sheet.id, written)
        return None

    def begin(self, parcel: Parcel) -> None:
        self._journal.note(parcel.id, Mark.TAKEN)

    def mark(self, parcel: Parcel) -> None:
        try:
            self._journal.write(parcel.id, Mark.DOT)
        except OSError as error:
            raise Unreachable("JOURNAL", type(error).__name__) from error

    def answered(self, parcel: Parcel, reply: Reply) -> bool:
        outcome = outcomes.ACCEPTED if reply is WELCOME else outcomes.of(reply)
        if outcome is outcomes.ACCEPTED:
            self._record(parcel.id, outcome, Mark.ACCEPTED)
            self._flow.went_well()
            return True
        if outcomes.may_be_about_one(outcome, reply) and self._flow.is_stuck_at(parcel.id):
            outcome = replace(outcome, state=State.DEFERRED)
        self._record(parcel.id, outcome, Mark.REFUSED if reply.verb == "DOT" else None)
        if not outcome.is_about_us:
            return True
        log.warning("The relay takes nothing now: %d %s.", reply.code, outcome.phrase)
        return not self._trouble(reply)

    def doubtful(self, parcel: Parcel) -> None:
        self._record(parcel.id, outcomes.LOST)
        if self._flow.broke():
            self._trouble(None)

    def broke(self, parcel: Parcel, error: Unreachable) -> None:
        self._record(parcel.id, outcomes.after_break(error.phase))
        log.warning("The relay could not be used, at %s.", error.phase)
        if error.phase == "JOURNAL" or self._flow.broke():
            self._trouble(error.reply)

    def unsaid(self, parcel: Parcel) -> None:
        self._record(parcel.id, GIVE_BACK)

    def unwritable(self, parcel: Parcel) -> None:
        self._record(parcel.id, outcomes.UNWRITABLE)

    def unreachable(self, error: Unreachable | None) -> None:
        """No connection could be opened."""
        log.warning("The relay could not be used, at %s.", error.phase if error else "work")
        self._trouble(error.reply if error else None)

    def _next(self, patience: float) -> Sheet | None:
        """Return what is to be written next, waiting so many seconds; None: nothing, or no more."""
        until = time.monotonic() + patience
        with self._lock:
            while self.is_open:
                at = time.monotonic()
                delay = self._first(at)
                if delay == 0:
                    return self._waiting.popleft()
                if at >= until:
                    return None
                self._idle += 1
                self._condition.wait(until - at if delay is None else min(delay, until - at))
                self._idle -= 1
        return None

    def _first(self, at: float) -> float | None:
        """Return in how many seconds the first parcel may leave; None: there is none."""
        while self._waiting:
            first = self._waiting[0]
            if at - first.made_at > STALE:
                self._record(self._waiting.popleft().id, GIVE_BACK)
            else:
                return max(0.0, first.not_before - at)
        return None

    def _record(self, delivery_id: int, outcome: Outcome, mark: Mark | None = None) -> None:
        if mark is not None:
            self._journal.note(delivery_id, mark)
        self._results.append((delivery_id, outcome))
        left = len(self.held) - len(self._unwritten) - len(self._results)
        if left <= 0 or (left <= FEW and not self._has_rung):
            self._has_rung = True
            self._tell()

    def _trouble(self, reply: Reply | None) -> bool:
        """Tell whether to leave the relay alone; if it took something lately, only go slow."""
        must_rest = self._flow.must_rest() or (reply is not None and bool(outcomes.rest(reply)))
        if must_rest:
            self.reasons.append(reply)
            self.close()
        self._tell()
        return must_rest

    def _tell(self) -> None:
        self._has_news = True
        self.ring()
