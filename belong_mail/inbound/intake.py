"""Poll the mailbox for bounces by IMAP each minute, in a thread of the worker.

Thread and transactions are its own, so that a server that hangs or breaks the protocol delays
nothing else. It is imported only if a mailbox is configured.

A mailbox is leased to one worker at a time. The transaction that stores a message also stores its
UID and its digest, so each message is stored once, even if the server renumbers it, and a poll that
breaks off at any point can be repeated.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core.db import dialect_insert, now, required
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.retention import READ_MAIL_AGE
from belong_mail.core.services import Services
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.inbound import pipe
from belong_mail.inbound.jobs import ReadReturned
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.inbound.pipe import InboxFull
from belong_mail.mail.imap.location import MailboxLocation
from belong_mail.mail.imap.mailbox import Mailbox, MailboxUnavailable, open_mailbox, token_source

# Seconds between polls; after failures the gap doubles, up to the second number.
POLL_GAP_SECONDS, MAX_GAP_SECONDS = 60.0, 900.0
# Seconds after which a poll fetches no further message, and after which it is aborted.
READ_SECONDS, POLL_SECONDS = 40.0, 60.0
# Messages read in a poll, and how many are moved at a time once they are stored.
MESSAGES_AT_ONCE, MOVED_AT_ONCE = 2_000, 50
# Seconds between two deletions of old messages.
DELETE_GAP_SECONDS = 3600.0
# Seconds to wait for a running poll: each time with `--drain`, and when the worker ends.
WAIT_SECONDS, END_SECONDS = 0.1, 5.0
# The step of a failed poll if our own queue was full; other steps are the server's.
QUEUE = "QUEUE"
# Longer than a poll takes to reach the next message; each stored message renews it.
LEASE = timedelta(seconds=90)
# Polls that broke off at one message, after which it is archived without being stored.
MAX_BREAKS = 5
log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another worker has the mailbox by now."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Stores a mailbox's messages for one worker, in transactions of the caller."""

    name: bytes
    owner: str
    sealer: Sealer
    index: BlindIndex

    def lease(self, session: Session, dead: Collection[str]) -> bool:
        """Lease the mailbox, also from a dead worker; return False if another worker has it."""
        at = now()
        new = dialect_insert(session.get_bind().dialect.name)(InboundMailbox)
        row = new.values(name=self.name, first_tried_at=at)
        session.execute(row.on_conflict_do_nothing(index_elements=[InboundMailbox.name]))
        is_free = or_(
            InboundMailbox.leased_by.in_((self.owner, *dead)),
            InboundMailbox.leased_until.is_(None),
            # A lease further ahead was written by a clock that ran ahead.
            ~InboundMailbox.leased_until.between(at, at + LEASE),
        )
        taken = update(InboundMailbox).where(InboundMailbox.name == self.name, is_free)
        lease = {"leased_by": self.owner, "leased_until": at + LEASE, "tried_at": at}
        return session.scalar(taken.values(lease).returning(InboundMailbox.id)) is not None

    def open_at(self, session: Session, uid_validity: int) -> tuple[int, int]:
        """Return the last stored UID, and a UID to skip because its message cannot be read.

        With another UIDVALIDITY (RFC 3501, 2.3.1.1), or none, the whole mailbox is new.
        """
        held = self._leased_mailbox(session)
        if held.uid_validity != uid_validity or not uid_validity:
            held.uid_validity = uid_validity
            held.handled_uid = held.broken_uid = held.breaks = 0
        broken = held.broken_uid if held.breaks >= MAX_BREAKS else 0
        return held.handled_uid, broken

    def take(self, session: Session, uid: int, messages: Iterable[bytes]) -> None:
        """Store the messages of a UID, sealed, each only once. Raises InboxFull and LeaseLost."""
        at = now()
        handled = case((InboundMailbox.handled_uid < uid, uid), else_=InboundMailbox.handled_uid)
        mine = update(InboundMailbox).where(
            InboundMailbox.name == self.name, InboundMailbox.leased_by == self.owner
        )
        done = mine.values(handled_uid=handled, leased_until=at + LEASE)
        if session.scalar(done.returning(InboundMailbox.id)) is None:
            raise LeaseLost
        for message in messages:
            if self._is_new(session, message):
                self._store(session, message)

    def succeed(self, session: Session) -> None:
        """Record a successful poll, and end the lease."""
        held = self._leased_mailbox(session)
        held.looked_at, held.failures, held.failed_step = now(), 0, ""
        held.broken_uid = held.breaks = 0
        held.leased_until = None

    def fail(self, session: Session, step: str, uid: int = 0) -> int:
        """Record the step and UID at which a poll failed; return the failures in a row."""
        held = self._leased_mailbox(session)
        held.failures, held.failed_step, held.leased_until = held.failures + 1, step, None
        if uid:
            held.breaks = held.breaks + 1 if held.broken_uid == uid else 1
            held.broken_uid = uid
        return held.failures

    def _leased_mailbox(self, session: Session) -> InboundMailbox:
        mine = select(InboundMailbox).where(
            InboundMailbox.name == self.name, InboundMailbox.leased_by == self.owner
        )
        return required(session.scalar(mine.with_for_update()), LeaseLost)

    def _is_new(self, session: Session, message: bytes) -> bool:
        digest = self.index.returned(hashlib.sha256(message).hexdigest())
        new = dialect_insert(session.get_bind().dialect.name)(InboundDigest)
        row = new.values(digest=digest, seen_at=now())
        once = row.on_conflict_do_nothing(index_elements=[InboundDigest.digest])
        return session.scalar(once.returning(InboundDigest.id)) is not None

    def _store(self, session: Session, message: bytes) -> None:
        sealed = pipe.seal_returned(self.sealer, "", message)
        waiting = select(func.count(Job.id), func.coalesce(func.sum(func.length(Job.sealed)), 0))
        number, octets = session.execute(waiting.where(Job.kind == pipe.RETURNED)).one()
        pipe.require_space(number, octets, len(sealed))
        ReadReturned().write(session, sealed=sealed)
        session.flush()


class Intake:
    """Polls a mailbox, one poll at a time."""

    def __init__(
        self,
        location: MailboxLocation,
        services: Services,
        index: BlindIndex,
        lock: WorkerLock,
    ) -> None:
        self._location = location
        self._tokens = token_source(location)
        self._reader = Reader(index.intake(location.name), lock.name, services.sealer, index)
        self._sessions = services.writing
        # Read before their deliveries are taken over, as that deletes their files.
        self._dead = frozenset(lock.dead())
        self._stopping = threading.Event()
        self.poll_seconds = POLL_SECONDS
        self.poll_at = self._delete_at = 0.0
        """Monotonic times of the next poll and of the next deletion."""
        self._thread: threading.Thread | None = None

    def poll_if_due(self) -> None:
        """Start a poll in its thread, unless one is running or none is due."""
        is_polling = self._thread is not None and self._thread.is_alive()
        if is_polling or time.monotonic() < self.poll_at or self._stopping.is_set():
            return
        self._thread = threading.Thread(target=self._poll, name="intake", daemon=True)
        self._thread.start()

    def wait(self) -> bool:
        """Wait a moment for a running poll; return whether there is one."""
        if self._thread is None:
            return False
        self._thread.join(WAIT_SECONDS)
        if not self._thread.is_alive():
            self._thread = None
        return True

    def stop(self) -> None:
        """Fetch no further message; a poll that hangs ends with the process."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _poll(self) -> None:
        gap = POLL_GAP_SECONDS
        try:
            gap = self._gap_after_poll()
        except LeaseLost:
            log.debug("Another worker reads the mailbox by now.")
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            log.error("The mailbox was not read: %s", type(error).__name__)  # noqa: TRY400
        self.poll_at = time.monotonic() + gap

    def _gap_after_poll(self) -> float:
        """Poll, and return the seconds until the next poll. Raises LeaseLost."""
        with self._sessions.begin() as session:
            if not self._reader.lease(session, self._dead):
                return POLL_GAP_SECONDS
        poll = _Poll(self._reader, self._sessions, self._stopping)
        try:
            is_all = self._read(poll)
            with self._sessions.begin() as session:
                self._reader.succeed(session)
        except MailboxUnavailable as error:
            if self._tokens is not None:
                self._tokens.forget()
            return self._note_failure(error.step, poll.uid)
        except InboxFull:
            return self._note_failure(QUEUE, 0)
        return POLL_GAP_SECONDS if is_all else 0.0

    def _read(self, poll: "_Poll") -> bool:
        """Store the mailbox's messages; return False if there are more."""
        deadline = time.monotonic() + self.poll_seconds
        with open_mailbox(self._location, self._tokens, deadline) as mailbox:
            mailbox.select()
            is_all = poll.take_all(mailbox)
            if time.monotonic() >= self._delete_at:
                self._delete_at = time.monotonic() + DELETE_GAP_SECONDS
                mailbox.delete_read((now() - READ_MAIL_AGE).date())
        return is_all

    def _note_failure(self, step: str, uid: int) -> float:
        log.warning("The mailbox for email that comes back could not be used, at %s.", step)
        with self._sessions.begin() as session:
            failures = self._reader.fail(session, step, uid)
        return min(POLL_GAP_SECONDS * 2.0 ** min(failures - 1, 9), MAX_GAP_SECONDS)


class _Poll:
    """One poll."""

    def __init__(
        self, reader: Reader, sessions: sessionmaker[Session], stopping: threading.Event
    ) -> None:
        self._reader = reader
        self._sessions = sessions
        self._stopping = stopping
        self._until = time.monotonic() + READ_SECONDS
        self._is_cut = False
        self._move_failed: MailboxUnavailable | None = None
        self.uid = 0
        """The UID that is being fetched, or 0."""

    def take_all(self, mailbox: Mailbox) -> bool:
        """Store new messages, then those an earlier poll left; return whether none is left.

        A message that was stored but not moved is fetched again before it is moved, as the server
        may have given its UID to another. Its digest keeps it from being stored twice.
        """
        with self._sessions.begin() as session:
            done, unreadable = self._reader.open_at(session, mailbox.uid_validity)
        new = mailbox.uids(MESSAGES_AT_ONCE, after=done)
        left = mailbox.uids(MESSAGES_AT_ONCE, until=done) if done else []
        for uids in (new, left):
            for start in range(0, len(uids), MOVED_AT_ONCE):
                self._take_some(mailbox, unreadable, uids[start : start + MOVED_AT_ONCE])
                if self._is_cut or (uids is left and self._move_failed):
                    break
        if self._move_failed:
            raise self._move_failed
        return not self._is_cut and len(new) < MESSAGES_AT_ONCE

    def _take_some(self, mailbox: Mailbox, unreadable: int, uids: Sequence[int]) -> None:
        """Store messages, each in a transaction; then archive them, which may fail without harm."""
        stored = []
        for uid in uids:
            if self._stopping.is_set() or time.monotonic() > self._until:
                self._is_cut = True
                break
            self.uid = uid
            messages = [] if uid == unreadable else mailbox.fetch(uid)
            self.uid = 0
            with self._sessions.begin() as session:
                self._reader.take(session, uid, messages)
            if messages or uid == unreadable:
                stored.append(uid)
        if stored and self._move_failed is None:
            try:
                mailbox.archive(stored)
            except MailboxUnavailable as error:
                self._move_failed = error
