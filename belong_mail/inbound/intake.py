"""Poll the mailbox for bounces by IMAP each minute, in a thread of the worker.

The thread has transactions of its own, so that a server that hangs or breaks the protocol delays
nothing else. This module is imported only if a mailbox is configured.

The transaction that stores a message also stores its digest, so each message is stored once, even
if the server renumbers it, two workers poll at once, or a poll breaks off at any point.
"""

import hashlib
import logging
import threading
import time
from collections import Counter
from typing import Any

from sqlalchemy import func, select, update

from belong_mail.core.db import dialect_insert, now
from belong_mail.core.decryption import BlindIndex
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


class Intake:
    """Polls a mailbox, one poll at a time."""

    def __init__(self, location: MailboxLocation, services: Services, index: BlindIndex) -> None:
        self._location = location
        self._tokens = token_source(location)
        self._name, self._index = index.intake(location.name), index
        self._sealer, self._sessions = services.sealer, services.writing
        self._stopping = threading.Event()
        self.poll_seconds = POLL_SECONDS
        self.poll_at = self._delete_at = 0.0
        """Monotonic times of the next poll and of the next deletion."""
        self._uid = 0
        """The UID that is being fetched, or 0."""
        self._breaks: Counter[int] = Counter()
        """How often polls have broken off at a UID since the last one that did not."""
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
        except MailboxUnavailable as error:
            if self._tokens is not None:
                self._tokens.forget()
            self._breaks.update([self._uid] if self._uid else [])
            return self._note_failure(error.step)
        except InboxFull:
            return self._note_failure(QUEUE)
        self._breaks.clear()
        self._mark(looked_at=now(), failures=0, failed_step="")
        return POLL_GAP_SECONDS if is_all else 0.0

    def _read(self) -> bool:
        """Store the mailbox's messages; return False if there are more."""
        self._begin()
        begun = time.monotonic()
        with open_mailbox(self._location, self._tokens, begun + self.poll_seconds) as mailbox:
            mailbox.select()
            is_all = self._take_all(mailbox, begun + READ_SECONDS)
            if time.monotonic() >= self._delete_at:
                self._delete_at = time.monotonic() + DELETE_GAP_SECONDS
                mailbox.delete_read((now() - READ_MAIL_AGE).date())
        return is_all

    def _take_all(self, mailbox: Mailbox, until: float) -> bool:
        """Store and archive messages, the newest first; return False if there are more.

        A message that could not be archived is fetched again in the next poll, as the server may
        have given its UID to another. If nothing can be archived, new messages are stored anyway.
        """
        uids, is_cut, refusal = mailbox.uids(MESSAGES_AT_ONCE), False, None
        for uid in reversed(uids):
            if is_cut := self._stopping.is_set() or time.monotonic() > until:
                break
            is_unreadable = self._breaks[uid] >= MAX_BREAKS
            self._uid = 0 if refusal else uid
            messages = [] if is_unreadable else mailbox.fetch(uid)
            self._uid = 0
            new = [each for each in messages if self._store(each)]
            if refusal and not new:
                break
            if not refusal and (messages or is_unreadable):
                try:
                    mailbox.archive(uid)
                except MailboxUnavailable as error:
                    refusal = error
        if refusal:
            raise refusal
        return not is_cut and len(uids) < MESSAGES_AT_ONCE

    def _store(self, message: bytes) -> bool:
        """Store a message, sealed, once; return whether it is new. Raises InboxFull."""
        digest = self._index.returned(hashlib.sha256(message).hexdigest())
        sealed = pipe.seal_returned(self._sealer, "", message)
        with self._sessions.begin() as session:
            new = dialect_insert(session.get_bind().dialect.name)(InboundDigest)
            row = new.values(digest=digest, seen_at=now())
            once = row.on_conflict_do_nothing(index_elements=[InboundDigest.digest])
            if session.scalar(once.returning(InboundDigest.id)) is None:
                return False
            size = func.coalesce(func.sum(func.length(Job.sealed)), 0)
            waiting = select(func.count(Job.id), size).where(Job.kind == pipe.RETURNED)
            number, octets = session.execute(waiting).one()
            pipe.require_space(number, octets, len(sealed))
            ReadReturned().write(session, sealed=sealed)
        return True

    def _begin(self) -> None:
        """Record that a poll begins."""
        at = now()
        with self._sessions.begin() as session:
            new = dialect_insert(session.get_bind().dialect.name)(InboundMailbox)
            row = new.values(name=self._name, first_tried_at=at, tried_at=at)
            again = {"index_elements": [InboundMailbox.name], "set_": {"tried_at": at}}
            session.execute(row.on_conflict_do_update(**again))

    def _mark(self, **columns: Any) -> int:
        """Record how a poll went; return the failures in a row."""
        with self._sessions.begin() as session:
            own = update(InboundMailbox).where(InboundMailbox.name == self._name)
            failures = own.values(columns).returning(InboundMailbox.failures)
            return session.execute(failures).scalar_one()

    def _note_failure(self, step: str) -> float:
        """Record the step at which a poll failed; return the seconds until the next one."""
        log.warning("The mailbox for email that comes back could not be used, at %s.", step)
        failures = self._mark(failures=InboundMailbox.failures + 1, failed_step=step)
        return min(POLL_GAP_SECONDS * 2.0 ** min(failures - 1, 9), MAX_GAP_SECONDS)
