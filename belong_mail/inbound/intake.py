"""Poll the mailbox for bounces by IMAP each minute, in a thread of the worker.

Thread and transactions are its own, so that a server that hangs or breaks the protocol delays
nothing else. It is imported only if a mailbox is configured.

The transaction that stores a message also stores its digest, so each message is stored once, even
if the server renumbers it, two workers poll at once, or a poll breaks off at any point.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.core.db import dialect_insert, now
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.retention import READ_MAIL_AGE
from belong_mail.core.services import Services
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
# Messages listed in a poll.
MESSAGES_AT_ONCE = 2_000
# Seconds between two deletions of old messages.
DELETE_GAP_SECONDS = 3600.0
# Seconds to wait for a running poll: each time with `--drain`, and when the worker ends.
WAIT_SECONDS, END_SECONDS = 0.1, 5.0
# The step of a failed poll if our own queue was full; other steps are the server's.
QUEUE = "QUEUE"
# Polls that broke off at one message, after which it is archived without being stored.
MAX_BREAKS = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reader:
    """Stores a mailbox's messages, in transactions of the caller."""

    name: bytes
    sealer: Sealer
    index: BlindIndex

    def begin(self, session: Session) -> int:
        """Record a poll; return a UID to skip because its message cannot be read, or 0."""
        at = now()
        new = dialect_insert(session.get_bind().dialect.name)(InboundMailbox)
        row = new.values(name=self.name, first_tried_at=at, tried_at=at)
        session.execute(
            row.on_conflict_do_update(index_elements=[InboundMailbox.name], set_={"tried_at": at})
        )
        mailbox = self._mailbox(session)
        return mailbox.broken_uid if mailbox.breaks >= MAX_BREAKS else 0

    def take(self, session: Session, messages: Iterable[bytes]) -> bool:
        """Store messages, sealed, each only once; return whether any is new. Raises InboxFull."""
        new = [each for each in messages if self._is_new(session, each)]
        for message in new:
            self._store(session, message)
        return bool(new)

    def succeed(self, session: Session) -> None:
        """Record a successful poll."""
        mailbox = self._mailbox(session)
        mailbox.looked_at, mailbox.failures, mailbox.failed_step = now(), 0, ""
        mailbox.broken_uid = mailbox.breaks = 0

    def fail(self, session: Session, step: str, uid: int = 0) -> int:
        """Record the step and UID at which a poll failed; return the failures in a row."""
        mailbox = self._mailbox(session)
        mailbox.failures, mailbox.failed_step = mailbox.failures + 1, step
        if uid:
            mailbox.breaks = mailbox.breaks + 1 if mailbox.broken_uid == uid else 1
            mailbox.broken_uid = uid
        return mailbox.failures

    def _mailbox(self, session: Session) -> InboundMailbox:
        found = select(InboundMailbox).where(InboundMailbox.name == self.name)
        return session.scalars(found.with_for_update()).one()

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

    def __init__(self, location: MailboxLocation, services: Services, index: BlindIndex) -> None:
        self._location = location
        self._tokens = token_source(location)
        self._reader = Reader(index.intake(location.name), services.sealer, index)
        self._sessions = services.writing
        self._stopping = threading.Event()
        self.poll_seconds = POLL_SECONDS
        self.poll_at = self._delete_at = 0.0
        """Monotonic times of the next poll and of the next deletion."""
        self._uid = 0
        """The UID that is being fetched, or 0."""
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
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            log.error("The mailbox was not read: %s", type(error).__name__)  # noqa: TRY400
        self.poll_at = time.monotonic() + gap

    def _gap_after_poll(self) -> float:
        """Poll, and return the seconds until the next poll."""
        self._uid = 0
        try:
            is_all = self._read()
            with self._sessions.begin() as session:
                self._reader.succeed(session)
        except MailboxUnavailable as error:
            if self._tokens is not None:
                self._tokens.forget()
            return self._note_failure(error.step, self._uid)
        except InboxFull:
            return self._note_failure(QUEUE, 0)
        return POLL_GAP_SECONDS if is_all else 0.0

    def _read(self) -> bool:
        """Store the mailbox's messages; return False if there are more."""
        with self._sessions.begin() as session:
            unreadable = self._reader.begin(session)
        begun = time.monotonic()
        with open_mailbox(self._location, self._tokens, begun + self.poll_seconds) as mailbox:
            mailbox.select()
            is_all = self._take_all(mailbox, unreadable, begun + READ_SECONDS)
            if time.monotonic() >= self._delete_at:
                self._delete_at = time.monotonic() + DELETE_GAP_SECONDS
                mailbox.delete_read((now() - READ_MAIL_AGE).date())
        return is_all

    def _take_all(self, mailbox: Mailbox, unreadable: int, until: float) -> bool:
        """Store and archive messages, the newest first; return False if there are more.

        A message that could not be archived is fetched again in the next poll, as the server may
        have given its UID to another. While nothing can be archived, the new messages are stored.
        """
        uids, is_cut, refusal = mailbox.uids(MESSAGES_AT_ONCE), False, None
        for uid in reversed(uids):
            if is_cut := self._stopping.is_set() or time.monotonic() > until:
                break
            self._uid = 0 if refusal else uid
            messages = [] if uid == unreadable else mailbox.fetch(uid)
            self._uid = 0
            with self._sessions.begin() as session:
                is_new = self._reader.take(session, messages)
            if refusal and not is_new:
                break
            if not refusal and (messages or uid == unreadable):
                try:
                    mailbox.archive(uid)
                except MailboxUnavailable as error:
                    refusal = error
        if refusal:
            raise refusal
        return not is_cut and len(uids) < MESSAGES_AT_ONCE

    def _note_failure(self, step: str, uid: int) -> float:
        log.warning("The mailbox for email that comes back could not be used, at %s.", step)
        with self._sessions.begin() as session:
            failures = self._reader.fail(session, step, uid)
        return min(POLL_GAP_SECONDS * 2.0 ** min(failures - 1, 9), MAX_GAP_SECONDS)
