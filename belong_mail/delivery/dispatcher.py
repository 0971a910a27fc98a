"""Render messages just before they are sent, hand them to connections, and collect results."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any, Protocol

from sqlalchemy import Select
from sqlalchemy.orm import Session

from belong_mail.core import logs
from belong_mail.core.database_errors import error_name, is_too_slow
from belong_mail.core.decryption import UnknownKey
from belong_mail.delivery import journal, outcomes
from belong_mail.delivery.models import State
from belong_mail.delivery.outcomes import GIVE_BACK, STALE, Outcome
from belong_mail.delivery.throttle import MAX_IN_HAND, ConcurrencyLimit
from belong_mail.mail.message.mime import Copy
from belong_mail.mail.smtp.connection import RelayUnavailable
from belong_mail.mail.smtp.protocol import WELCOME, OutgoingMessage
from belong_mail.mail.smtp.replies import Reply

PAUSED = Outcome(None, again=timedelta(seconds=2))
log = logging.getLogger(__name__)


class SkipDelivery(Exception):
    """The message must not be sent; `state` says why: withdrawn, suppressed or failed."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class IssuePaused(Exception):
    """The issue is paused or stopped, or its key is missing: its deliveries wait."""


# Renders a message, without the database. Raises SkipDelivery or IssuePaused.
Compose = Callable[[], Copy]


@dataclass(slots=True)
class PendingMessage:
    """A message that is rendered just before it is sent."""

    id: int
    write: Compose
    # The monotonic time at which the rate limit lets it be sent.
    not_before: float = 0.0
    # The monotonic time at which its reader's membership was last checked.
    made_at: float = 0.0


# Reads all that the rendering of some deliveries needs, and returns a renderer for each.
ComposeMany = Callable[[Session, list[int]], Iterable[tuple[int, Compose]]]


# Builds the query of an issue's members from a low to a high id, in order. Its columns are the
# subscription's id, then what `composers` needs; its bound parameters come from `prepare`.
ChunkMembers = Callable[[Any, Any], Select[Any]]


class MemberQuery(Protocol):
    """Selects the members who have yet to get an issue."""

    chosen: ChunkMembers
    # The parameters of the issue that was prepared last.
    prepared: dict[str, Any]

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, Any]:
        """Prepare an issue for sending and return its query parameters. Raises IssuePaused."""

    def forget(self) -> None:
        """Forget the prepared issue: its transaction may not have committed."""

    def composers(self, session: Session, rows: Iterable[Any]) -> Iterable[tuple[int, Compose]]:
        """Return pairs of a delivery id and the function that renders its message."""


def compose_message(pending: PendingMessage) -> Copy | Outcome:
    """Render a message, or return the outcome if that fails."""
    try:
        return pending.write()
    except (IssuePaused, UnknownKey):
        return PAUSED
    except SkipDelivery as reason:
        return Outcome(reason.state)
    except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
        if is_too_slow(error) or isinstance(error, ImportError):  # no fault of this message
            log.error("Delivery %d waits: %s", pending.id, error_name(error))  # noqa: TRY400
            return outcomes.TOO_SLOW
        log.error("Delivery %d cannot be written: %s", pending.id, type(error).__name__)  # noqa: TRY400
        return outcomes.UNWRITABLE


# Seconds that a claimed message may wait; then its reader's membership is checked again.
STALE_SECONDS = 2.0
# Once this share of claimed deliveries has results, one transaction stores them and claims more.
REFILL_SHARE = 0.95


class Dispatcher:
    """A thread-safe queue of messages for connections, and of their results."""

    def __init__(self, journal: journal.Journal, limit: ConcurrencyLimit) -> None:
        self._journal = journal
        self._limit = limit
        self._waiting: deque[PendingMessage] = deque()
        self._results: deque[tuple[int, Outcome]] = deque()
        self._unwritten: list[tuple[int, Outcome]] = []
        self._lock = threading.Lock()
        self._has_news = self._has_rung = self._had_trouble = False
        self.is_open = False
        self.on_wakeup: Callable[[], object] = bool
        self.most = MAX_IN_HAND
        """How many may be claimed at a time: no more than can be sent within STALE_SECONDS."""
        self.held: set[int] = set()
        """Ids of claimed deliveries whose result is not in the database yet."""
        self.is_ours_until = float("inf")
        """Monotonic time after which other workers may have taken over these deliveries."""
        self.reasons: list[Reply | None] = []
        """The replies after which the relay must rest; None for a broken connection."""

    def hold(self, ids: Iterable[int]) -> None:
        """Add claimed deliveries."""
        self._has_news = False
        self.held.update(ids)
        self._has_rung = len(self.held) <= self._refill_below

    @property
    def _refill_below(self) -> float:
        return self.most - self.most * REFILL_SHARE

    def put(self, messages: Iterable[PendingMessage]) -> None:
        """Queue messages for sending, or give them back if the relay must rest."""
        with self._lock:
            if self.reasons:
                self._results.extend((pending.id, GIVE_BACK) for pending in messages)
                return
            self.is_open = True
            self._waiting.extend(messages)

    def close(self) -> None:
        """Hand out no more messages, and give back those that wait."""
        with self._lock:
            self.is_open = False
            self._results.extend((pending.id, GIVE_BACK) for pending in self._waiting)
            self._waiting.clear()

    def give_up(self) -> None:
        """Forget deliveries that other workers have taken over, so that they are not sent here."""
        self.close()
        self.held.intersection_update(delivery_id for delivery_id, _ in self._results)

    def results(self) -> list[tuple[int, Outcome]]:
        """Return the results to store; `written` removes them."""
        self._unwritten += [self._results.popleft() for _ in range(len(self._results))]
        return self._unwritten

    def written(self) -> None:
        """Remove the results that were just stored."""
        ids = [delivery_id for delivery_id, _ in self._unwritten]
        if not any(outcome is STALE for _, outcome in self._unwritten):
            self.most = min(MAX_IN_HAND, self.most + ceil(len(ids) / 4))
        self.held.difference_update(ids)
        self._journal.forget(ids)
        self._unwritten = []

    def pop_wakeup(self) -> bool:
        had_news, self._has_news = self._has_news, False
        return had_news

    def due_in(self) -> float | None:
        with self._lock:
            return self._first(time.monotonic())

    def grows_stale_within(self, seconds: float) -> bool:
        """Return whether a waiting message will be too old to send after so many seconds."""
        with self._lock:
            at = time.monotonic()
            self._first(at)
            return bool(self._waiting) and at + seconds - self._waiting[0].made_at > STALE_SECONDS

    def next_message(self, *, is_opening: bool = False) -> OutgoingMessage | None:
        while (pending := self._next()) is not None:
            self._journal.note(pending.id, journal.TAKEN)
            written = compose_message(pending)
            if is_opening:  # A crash while connecting is not its fault.
                self._journal.note(pending.id, journal.CLAIMED)
            if isinstance(written, Copy):
                return OutgoingMessage(pending.id, written, pending.made_at + STALE_SECONDS)
            self._record(pending.id, written)
        return None

    def record_start(self, outgoing: OutgoingMessage) -> None:
        self._journal.note(outgoing.id, journal.TAKEN)

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        """Record a final dot, or raise if the lease ended; a worker that hangs then sends late."""
        try:
            self._journal.write(outgoing.id, journal.DOT)
        except OSError as error:
            raise RelayUnavailable("JOURNAL", type(error).__name__) from error
        if time.monotonic() > self.is_ours_until or outgoing.id not in self.held:
            self._journal.note(outgoing.id, journal.CLAIMED)
            raise RelayUnavailable("LEASE", "stood still")

    def record_reply(self, outgoing: OutgoingMessage, reply: Reply) -> bool:
        outcome = outcomes.ACCEPTED if reply is WELCOME else outcomes.outcome_of(reply)
        if outcome is outcomes.ACCEPTED:
            self._record(outgoing.id, outcome, journal.ACCEPTED)
            if not outgoing.copy.is_verified:  # a single email
                said = {"delivery": outgoing.id, "relay": reply.queue_id}
                logs.event(log, logging.INFO, "delivery accepted", **said)
            self._limit.record_success()
            if self._had_trouble:
                self._had_trouble = False
                log.info("The relay takes email again.")
            return True
        if outcomes.may_concern_recipient(outcome, reply) and self._limit.is_stuck_at(outgoing.id):
            outcome = replace(outcome, state=State.DEFERRED)
        self._record(outgoing.id, outcome, journal.REFUSED if reply.verb == "DOT" else None)
        if not outcome.is_about_us:
            return True
        log.warning("The relay takes nothing now: %d %s.", reply.code, outcome.phrase)
        return not self._trouble(reply)

    def mark_uncertain(self, outgoing: OutgoingMessage) -> None:
        self._record(outgoing.id, outcomes.LOST)
        if self._limit.record_break():
            self._trouble(None)

    def record_break(self, outgoing: OutgoingMessage, error: RelayUnavailable) -> None:
        self._record(outgoing.id, outcomes.outcome_after_break(error.phase))
        if error.phase == "LEASE":
            log.warning("This worker stood still; what it had not sent yet is given back.")
            return
        log.warning("The relay could not be used, at %s.", error)
        if error.phase == "JOURNAL" or self._limit.record_break():
            self._trouble(error.reply)

    def requeue(self, outgoing: OutgoingMessage) -> None:
        self._record(outgoing.id, GIVE_BACK)

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        self._record(outgoing.id, outcomes.UNWRITABLE)

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        """Record that a connection could not be opened."""
        log.warning("The relay could not be used, at %s.", error or "work")
        self._trouble(error.reply if error else None)

    def _next(self) -> PendingMessage | None:
        """Return the next message to render, or None if none may be sent now."""
        with self._lock:
            is_due = self.is_open and self._first(time.monotonic()) == 0
            return self._waiting.popleft() if is_due else None

    def _first(self, at: float) -> float | None:
        """Return the seconds until the first message may be sent, or None if there is none."""
        while self._waiting:
            first = self._waiting[0]
            if at - first.made_at > STALE_SECONDS:
                # Claim as many as were sent in that time, at least two for each connection.
                few = 2 * self._limit.allowed
                self.most = max(few, min(self.most, len(self.held)) - 1)
                self._record(self._waiting.popleft().id, STALE)
            else:
                return max(0.0, first.not_before - at)
        return None

    def _record(
        self, delivery_id: int, outcome: Outcome, mark: journal.JournalEntry | None = None
    ) -> None:
        if mark is not None:
            self._journal.note(delivery_id, mark)
        self._results.append((delivery_id, outcome))
        left = len(self.held) - len(self._unwritten) - len(self._results)
        if left <= 0 or (not self._has_rung and left <= self._refill_below):
            self._has_rung = True
            self._tell()

    def _trouble(self, reply: Reply | None) -> bool:
        """Return whether the relay must rest; if it accepted email lately, only slow down."""
        self._had_trouble = True
        must_rest = self._limit.must_rest() or (
            reply is not None and bool(outcomes.relay_rest(reply))
        )
        if must_rest:
            self.reasons.append(reply)
            self.close()
        self._tell()
        return must_rest

    def _tell(self) -> None:
        self._has_news = True
        self.on_wakeup()
