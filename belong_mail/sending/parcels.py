"""Between the database's thread and the connections': what is to leave, and what became of it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.feed import WELCOME, Parcel
from belong_mail.mail.outcomes import Reply
from belong_mail.sending import outcomes
from belong_mail.sending.journal import Journal, Mark
from belong_mail.sending.outcomes import GIVE_BACK, Outcome
from belong_mail.sending.pace import CHUNK, WINDOW, Flow

STALE = 2.0
"""Seconds after which it is asked again whether a parcel's reader still wants it."""
FEW = WINDOW - CHUNK
"""When so few in hand have no result, it is time for a transaction and for more."""

log = logging.getLogger(__name__)


class Parcels:
    """Gives parcels to the connections' threads and collects the results."""

    def __init__(self, journal: Journal, flow: Flow) -> None:
        self._journal = journal
        self._flow = flow
        self._waiting: deque[Parcel] = deque()
        self._results: deque[tuple[int, Outcome]] = deque()
        self._unwritten: list[tuple[int, Outcome]] = []
        self._lock = threading.Lock()
        self._condition = threading.Condition(self._lock)
        self._news = threading.Event()
        self._has_rung = self._is_open = False
        self._idle = 0
        self.held: set[int] = set()
        """Deliveries claimed whose outcome the database does not have."""
        self.reasons: list[Reply | None] = []
        """Why the relay must be left alone."""

    def hold(self, ids: Iterable[int]) -> None:
        """Remember that deliveries have been claimed; older news is about fewer."""
        self._news.clear()
        self.held.update(ids)
        self._has_rung = len(self.held) <= FEW

    def put(self, parcels: Iterable[Parcel]) -> None:
        """Let parcels leave, unless the relay objected while they were written."""
        with self._lock:
            if self.reasons:
                self._results.extend((parcel.id, GIVE_BACK) for parcel in parcels)
                return
            self._is_open = True
            self._waiting.extend(parcels)
            self._condition.notify(min(self._idle, len(self._waiting)))

    def close(self) -> None:
        """Give nothing more away, and give back what waits."""
        with self._lock:
            self._is_open = False
            self._results.extend((parcel.id, GIVE_BACK) for parcel in self._waiting)
            self._waiting.clear()
            self._condition.notify_all()

    @property
    def needs_hands(self) -> bool:
        """Whether something waits and no connection waits for it."""
        return bool(self._waiting) and not self._idle

    def settle(self, delivery_id: int, outcome: Outcome) -> None:
        """Take an outcome that no connection had to find out."""
        self._results.append((delivery_id, outcome))

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

    def wait(self, seconds: float) -> None:
        """Wait until few of those in hand are left without a result."""
        self._news.wait(seconds)
        self._news.clear()

    def take(self, patience: float) -> Parcel | None:
        until = time.monotonic() + patience if patience else 0.0
        with self._lock:
            while self._is_open:
                at = time.monotonic()
                delay = self._first(at)
                if delay == 0:
                    parcel = self._waiting.popleft()
                    self._mark(parcel, Mark.TAKEN)
                    return parcel
                if at >= until:
                    return None
                self._idle += 1
                self._condition.wait(until - at if delay is None else min(delay, until - at))
                self._idle -= 1
        return None

    def mark(self, parcel: Parcel) -> None:
        try:
            self._journal.write(parcel.id, Mark.DOT)
        except OSError as error:
            raise Unreachable("JOURNAL", type(error).__name__) from error

    def answered(self, parcel: Parcel, reply: Reply) -> bool:
        outcome = outcomes.ACCEPTED if reply is WELCOME else outcomes.of(reply)
        if outcome is outcomes.ACCEPTED:
            self._record(parcel, outcome, Mark.ACCEPTED)
            self._flow.went_well()
            return True
        self._record(parcel, outcome, Mark.REFUSED if reply.verb == "DOT" else None)
        if not outcome.is_about_us:
            return True
        log.warning("The relay takes nothing now: %d %s.", reply.code, outcome.phrase)
        return not self._trouble(reply)

    def doubtful(self, parcel: Parcel) -> None:
        self._record(parcel, outcomes.LOST)
        if self._flow.broke():
            self._trouble(None)

    def broke(self, parcel: Parcel, error: Unreachable) -> None:
        self._record(parcel, outcomes.after_break(error.phase))
        log.warning("The relay could not be used, at %s.", error.phase)
        if error.phase == "JOURNAL" or self._flow.broke():
            self._trouble(error.reply)

    def unsaid(self, parcel: Parcel) -> None:
        self._record(parcel, GIVE_BACK)

    def unwritable(self, parcel: Parcel) -> None:
        self._record(parcel, outcomes.UNWRITABLE)

    def unreachable(self, error: Unreachable | None) -> None:
        """No connection could be opened."""
        log.warning("The relay could not be used, at %s.", error.phase if error else "work")
        self._trouble(error.reply if error else None)

    def _first(self, at: float) -> float | None:
        """Return in how many seconds the first parcel may leave; None: there is none."""
        while self._waiting:
            first = self._waiting[0]
            if at - first.made_at > STALE:
                self._record(self._waiting.popleft(), GIVE_BACK)
            else:
                return max(0.0, first.not_before - at)
        return None

    def _record(self, parcel: Parcel, outcome: Outcome, mark: Mark | None = None) -> None:
        if mark is not None:
            self._mark(parcel, mark)
        self._results.append((parcel.id, outcome))
        left = len(self.held) - len(self._unwritten) - len(self._results)
        if left <= 0 or (left <= FEW and not self._has_rung):
            self._has_rung = True
            self._news.set()

    def _mark(self, parcel: Parcel, mark: Mark) -> None:
        """Write a mark that may be missing: without it more is taken for uncertain."""
        try:  # noqa: SIM105 - three times as fast, and it is done for each message
            self._journal.write(parcel.id, mark)
        except OSError:
            pass

    def _trouble(self, reply: Reply | None) -> bool:
        """Tell whether to leave the relay alone; if it took something lately, only go slow."""
        must_rest = self._flow.must_rest() or (reply is not None and bool(outcomes.rest(reply)))
        if must_rest:
            self.reasons.append(reply)
            self.close()
        self._news.set()
        return must_rest
