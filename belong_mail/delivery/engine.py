"""The engine: claim due deliveries, send them over the connections, and store the results.

A claim is committed before the message's MAIL command, and the journal marks the final dot before
it is sent: a crash leaves no doubt which messages may have arrived.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core.database_errors import (
    HURRIED,
    LOCK_REST_SECONDS,
    NO_DATABASE,
    error_name,
    has_idled,
    is_locked,
    is_too_slow,
)
from belong_mail.core.db import now, update_if_free
from belong_mail.core.services import Settings
from belong_mail.core.statements import Call
from belong_mail.delivery import claims, outcomes, throttle
from belong_mail.delivery import results as delivery_results
from belong_mail.delivery import retry as delivery_retry
from belong_mail.delivery.connections import ConnectionPool
from belong_mail.delivery.delivery_log import DeliveryLog
from belong_mail.delivery.dispatcher import (
    REFILL_SHARE,
    STALE_SECONDS,
    Compose,
    ComposeMany,
    Dispatcher,
    MemberQuery,
    PendingMessage,
)
from belong_mail.delivery.models import LEASE, Delivery
from belong_mail.delivery.worker_lock import WorkerLock, WorkerStatus
from belong_mail.mail.smtp.transport import Transport

# Seconds of a slice of work, between which the worker does its other tasks.
WORK_SLICE_SECONDS, MAX_SLICE_SECONDS = 0.5, 5.0
# Seconds after which results are stored, however few.
RESULT_WAIT_SECONDS = 0.05
RECOVER_GAP_SECONDS = 5.0
RENEW_GAP_SECONDS = 15.0
# Seconds without issues after claiming one took too long; fewer if it waited for a lock.
ISSUES_REST_SECONDS = 60.0
# Seconds before the end of a lease at which sending ends, as clocks differ.
LEASE_MARGIN_SECONDS = 5.0
# Start and end of a pause in claiming; a clock that is set back ends it, too.
Span = tuple[datetime, datetime]
# Called, in the transaction that records it, for a permanent failure.
Undelivered = Callable[[Session, int], None]
# Functions that render claimed deliveries, by id; None: none were due.
Claimed = list[tuple[int, Compose]] | None
log = logging.getLogger(__name__)


class Engine:
    def __init__(
        self,
        sessions: sessionmaker[Session],
        transport: Transport,
        compose: ComposeMany,
        members: MemberQuery,
        lock: WorkerLock,
        settings: Settings,
        undelivered: Undelivered,
        is_met: Callable[[], bool] = lambda: True,
    ) -> None:
        """Set up; `is_met` returns whether the database was checked since its newest connection."""
        self._sessions = sessions
        self._compose = compose
        self._members = members
        self._lock = lock
        self._settings = settings
        self._undelivered = undelivered
        self._is_met = is_met
        self._limit = throttle.ConcurrencyLimit(transport.connections)
        self._dispatcher = Dispatcher(lock.journal, self._limit)
        self._pool = ConnectionPool(transport, self._dispatcher, self._limit)
        self._has_failed = False
        """Whether the last commit's outcome is unknown: the database may have other claims."""
        self._rest: Span | None = None
        self._paced: Span | None = None
        self._recover_at = self._renewed_at = self._issues_at = float("-inf")
        self._is_chunk_next = False
        """Whether more of the same issue comes next, as nothing else was due."""
        self._too_slow: int | None = None
        """The delivery whose data took longer to read than a transaction may last."""
        self._left_at = time.monotonic()
        """The end of the last work or rest; since then, no connection was driven."""
        self.stopping = threading.Event()
        self._log = DeliveryLog()
        self.kinds_alone: tuple[str, ...] | None = None
        """The kinds of single messages that may be sent; None: everything."""

    def recover(self) -> None:
        """Settle the claims of dead workers, if `is_met`."""
        with self._sessions.begin() as session:
            session.connection()
            if not self._is_met():
                return
            dead = delivery_results.recover(session, self._lock, self._settings.uncertain)
        for name in dead:
            if self._lock.status_of(name) is WorkerStatus.DEAD:
                self._lock.remove_worker_files(name)
        self._recover_at = time.monotonic() + RECOVER_GAP_SECONDS

    def work(self) -> bool:
        """Send for a slice of time; return whether there is more to do now."""
        self._log.tell()
        if time.monotonic() > self._recover_at:
            self.recover()
        had_issues = self._has_issues
        try:
            with self._sessions.kw["bind"].connect() as connection:
                return self._work_for_as_long(connection)
        except NO_DATABASE:
            if self._too_slow is not None:
                self._put_off(self._too_slow)
                return True
            if not had_issues or self._has_issues:
                raise
            return self.work()  # without issues, before other tasks meet locks, too
        finally:
            self._left_at = time.monotonic()

    @property
    def _has_issues(self) -> bool:
        """Return whether issues may be claimed as well."""
        return time.monotonic() > self._issues_at

    def _work_for_as_long(self, connection: Connection) -> bool:
        """Send for as long as the other tasks took: WORK_SLICE_SECONDS to MAX_SLICE_SECONDS."""
        away = time.monotonic() - self._left_at
        until = time.monotonic() + min(MAX_SLICE_SECONDS, max(WORK_SLICE_SECONDS, away))
        while True:
            began = time.monotonic()
            has_moved = self._turn(connection)
            if not self._is_met():
                return True
            if not (self._dispatcher.held or self._lock.is_writable()):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            if not (has_moved or self._dispatcher.held or self._paced):
                self._pool.poll(0)
                self._members.forget()  # the next issue is checked by the group's words of then
                return False
            if self.stopping.is_set():
                return True
            turn_seconds = time.monotonic() - began
            self._drive(turn_seconds)
            is_over = time.monotonic() >= until
            self._let_leave(turn_seconds + (away if is_over else 0.0))
            if is_over:
                return True

    def _drive(self, turn_seconds: float) -> None:
        """Drive connections until there are results, or as long as the last transaction took."""
        until = time.monotonic() + min(STALE_SECONDS, max(RESULT_WAIT_SECONDS, turn_seconds))
        while not self.stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._pool.ensure_connections()
            is_expecting = self._dispatcher.held or self._paced  # else no one has results for us
            if not is_expecting or self._pool.run(min(RESULT_WAIT_SECONDS, left)):
                break

    def _let_leave(self, seconds: float) -> None:
        """Send messages that would become stale during a transaction of so many seconds."""
        while not self.stopping.is_set() and self._dispatcher.grows_stale_within(seconds):
            self._pool.ensure_connections()
            self._pool.run(RESULT_WAIT_SECONDS)

    def rest(self, seconds: float) -> None:
        """Drive the open connections for so many seconds, or until told to stop."""
        until = time.monotonic() + seconds
        while not self.stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._pool.poll(left)
            self._left_at = time.monotonic()

    def retry(self) -> None:
        """Try the relay now, ending the pause after its failure."""
        self._rest = None

    def stop(self) -> None:
        """Claim and start nothing more."""
        self.stopping.set()
        self._pool.leave()
        self._pool.wake()

    def finish(self) -> None:
        """Finish the messages under way, give all others back, and store the results."""
        self.stop_talking()
        if self._dispatcher.held or self._dispatcher.results():
            self._turn(is_last=True)

    def stop_talking(self) -> None:
        """Finish the messages under way, and start no others."""
        self._dispatcher.close()
        self._pool.join(self.stopping)

    def close(self) -> None:
        """Finish, and delete the lease; after an error, others recover the claims."""
        self.finish()
        self._log.tell(is_last=True)
        with self._sessions.begin() as session:
            delivery_results.delete_lease(session, self._lock.name)
        self._lock.end()

    def is_behind(self, session: Session) -> bool:
        """Return whether the database lacks transactions that this folder's workers committed."""
        own = {self._lock.name: self._lock.journal.made}
        return delivery_results.is_database_behind(session, {**self._lock.committed(), **own})

    def restart(self) -> None:
        """Restart on an older copy of the database: all it lists as claimed may have been sent.

        The journal counts transactions anew; dead workers' files, which do not match, are deleted.
        """
        self.stop_talking()
        with self._sessions.begin() as session:
            settled = self._settle(session, self._dispatcher.results())
            delivery_results.accept(session, self._lock.name, settled)
            delivery_results.take_over(session, self._lock.name, None, self._settings.uncertain)
        self._dispatcher.written()
        self._lock.journal.begin_uncounted()
        for name in self._lock.committed():
            self._lock.remove_worker_files(name)
        self._members.forget()
        self._has_failed = False

    def _turn(self, connection: Connection | None = None, *, is_last: bool = False) -> bool:
        """Store results and claim more; return whether there was anything to store or claim."""
        self._consider_rest()
        results = self._dispatcher.results()
        limit = 0 if is_last else self._room(len(results))
        is_renewal = time.monotonic() - self._renewed_at > RENEW_GAP_SECONDS
        if not (results or limit or is_last or (is_renewal and self._dispatcher.held)):
            return False
        owner, claimed, began = self._lock.name, None, time.monotonic()
        self._has_failed, had_failed = True, self._has_failed
        if had_failed:
            self._members.forget()
        if is_renewal:
            self._lock.journal.move(began)
        bind = {} if connection is None else {"bind": connection}
        with self._sessions(**bind) as session, session.begin():
            session.connection()
            is_ours = not is_renewal or delivery_results.renew_lease(session, owner)
            is_ours |= not self._dispatcher.held
            accepted = self._settle(session, results)
            is_known = is_ours and self._is_met()
            if (had_failed and is_known) or is_last:
                kept = set(accepted) if is_last else self._dispatcher.held
                delivery_results.release_unknown_claims(session, owner, kept)
            at_once = is_known and bool(accepted) and self._may_claim_at_once(limit)
            if limit and is_known and not at_once:
                is_free = len(results) == len(self._dispatcher.held)
                claimed = self._claim(session, limit, is_free=is_free)
            turn = self._lock.journal.begin() if is_known and (results or claimed) else 0
            slots = throttle.send_slots(session, self._settings, len(claimed or ()))
            claimed = self._commit(session, accepted, claimed, turn, limit if at_once else 0)
        self._has_failed = had_failed and not (is_known or is_last)
        self._log.note(results)
        if turn:
            self._lock.journal.end_well()
        self._written(began if is_renewal else None, is_ours=is_ours)
        if claimed:
            self._send(claimed, *slots)
        return bool(results) or claimed is not None

    def _settle(self, session: Session, results: list[tuple[int, outcomes.Outcome]]) -> list[int]:
        """Store results; return the accepted deliveries, which `accept` stores."""
        rest = self._settings.uncertain, self._rest[1] if self._rest else None
        accepted, lost = delivery_results.settle(session, self._lock.name, results, *rest)
        for delivery_id in lost:
            try:
                with session.begin_nested():
                    self._undelivered(session, delivery_id)
            except Exception as error:
                if isinstance(error, (*NO_DATABASE, OSError)) and not is_too_slow(error):
                    raise
                log.error("Delivery %d is not weighed: %s", delivery_id, error_name(error))  # noqa: TRY400
                if is_locked(error):
                    session.execute(HURRIED)
        return accepted

    def _may_claim_at_once(self, limit: int) -> bool:
        """Return whether to claim from a chunk without reading anything before (`_commit`)."""
        is_limited = self._settings.send_rate or self._settings.daily_quota
        may_be_any = self._has_issues and self.kinds_alone is None
        return self._is_chunk_next and limit > 0 and not is_limited and may_be_any

    def _commit(
        self, session: Session, accepted: list[int], claimed: Claimed, turn: int, at_once: int
    ) -> Claimed:
        """Store acceptances, write all present claims to the lease, and end the transaction.

        May also claim up to `at_once` copies from the next chunk, in the same round trip. Returns
        the claims.
        """
        held = self._dispatcher.held.union(each for each, _ in claimed or ())
        lease = throttle.lease_of(self._lock.name, held, turn)
        holding = throttle.holding(session.connection().dialect.name)
        calls: tuple[Call, ...] = ((holding, lease),) if turn else ()
        if at_once:
            self._is_chunk_next, calls = False, claims.at_once(self._members, at_once, lease)
        try:
            found = delivery_results.accept(session, lease["owner"], accepted, *calls, is_last=True)
        except NO_DATABASE as error:
            if at_once:
                self._rest_issues(error)
            raise
        if at_once:
            rows, [is_due] = found
            self._is_chunk_next = bool(rows) and not any(is_due)
            claimed = list(self._members.composers(session, rows)) or None
        return claimed

    def _written(self, renewed_at: float | None, *, is_ours: bool) -> None:
        """After a transaction, forget the stored results, and all claims if the lease was lost."""
        self._dispatcher.written()
        if renewed_at is not None:
            self._renewed_at = renewed_at
            self._dispatcher.is_ours_until = (
                renewed_at + LEASE.total_seconds() - LEASE_MARGIN_SECONDS
            )
        if not is_ours:
            log.warning("Others have taken over what this worker held while it stood still.")
            self._dispatcher.give_up()

    def _room(self, written: int) -> int:
        """Return how many more deliveries may be claimed, once these results are stored."""
        if self.stopping.is_set():
            return 0
        at = now()
        if any(span and span[0] <= at < span[1] for span in (self._rest, self._paced)):
            return 0
        if not self._lock.is_writable():
            self._dispatcher.close()
            return 0
        self._rest = self._paced = None
        most, in_hand = self._dispatcher.most, len(self._dispatcher.held) - written
        room = max(0, most - in_hand)
        # With two messages each, all connections are busy; some may hang at theirs for minutes.
        is_any_idle = in_hand < 2 * self._limit.allowed
        return room if is_any_idle or room >= most * REFILL_SHARE else 0

    def _claim(self, session: Session, limit: int, *, is_free: bool) -> Claimed:
        """Claim due deliveries within the rate limits; return None if there are none.

        The list is empty if nothing of the next chunk can be sent now.
        """
        room, until = throttle.capacity(session, self._settings, limit)
        if until is not None:
            at = now()
            if until - at < delivery_retry.LIMIT_LOOK_GAP:
                self._paced = at, until
            else:
                self._rest = at, at + delivery_retry.LIMIT_LOOK_GAP
            return None
        if self.kinds_alone is not None:
            ids = claims.claim_kinds(session, self._lock.name, self.kinds_alone, room)
            return list(self._composers(session, ids)) if ids else None
        taking = session, self._lock.name, self._members, room
        try:
            if self._has_issues:
                ids, chunk = claims.claim_next(*taking, is_free=is_free)
            else:
                ids, chunk = claims.claim_single(session, self._lock.name, room), None
            self._is_chunk_next = bool(chunk) and claims.has_at_once(session, self._members)
            self._lock.journal.claim(ids)
            return list(self._composers(session, ids)) if ids else chunk
        except NO_DATABASE as error:
            self._rest_issues(error)
            raise

    def _composers(self, session: Session, ids: list[int]) -> Iterator[tuple[int, Compose]]:
        """Read what deliveries need; note a delivery for which this takes too long."""
        read = 0
        try:
            for each in self._compose(session, ids):
                yield each
                read += 1
        except NO_DATABASE as error:
            self._too_slow = ids[read] if has_idled(error) else None
            raise

    def _put_off(self, delivery_id: int) -> None:
        """Postpone a delivery whose data took too long to read, so that others are sent.

        The delay equals its age, so that a few slow ones cannot hold back all others.
        """
        log.error("Delivery %d waits: its reading takes too long", delivery_id)
        which, at = Delivery.id == delivery_id, now()
        with self._sessions.begin() as session:
            waited = at - (session.scalar(select(Delivery.created_at).where(which)) or at)
            rest = max(waited, timedelta(seconds=ISSUES_REST_SECONDS))
            update_if_free(session, Delivery, which, due_at=at + rest)
        self._too_slow = None

    def _rest_issues(self, error: Exception) -> None:
        """Pause issues for a while if claiming one took too long, or met a lock."""
        if is_too_slow(error) or has_idled(error):
            rest = LOCK_REST_SECONDS if is_locked(error) else ISSUES_REST_SECONDS
            log.error("Newsletters wait for %.0f s: %s", rest, error_name(error))
            self._issues_at = time.monotonic() + rest

    def _send(self, composers: list[tuple[int, Compose]], wait: float, apart: float) -> None:
        """Hand the claimed messages to the connections, spaced by the rate limit."""
        self._dispatcher.hold(delivery_id for delivery_id, _ in composers)
        at = time.monotonic()
        self._dispatcher.put(
            PendingMessage(delivery_id, compose, at + wait + number * apart, at)
            for number, (delivery_id, compose) in enumerate(composers)
        )

    def _consider_rest(self) -> None:
        """After a failure of the relay, pause for a minute, or longer if it named a limit."""
        if reasons := self._dispatcher.reasons:
            self._dispatcher.reasons = []
            at = now()
            asked = (outcomes.relay_rest(reply) for reply in reasons if reply is not None)
            self._rest = at, at + max([delivery_retry.RELAY_DOWN_REST, *asked])
