"""Fetch what came back from a mailbox, by IMAP, each minute, beside the worker's other work.

It has a thread and transactions of its own, so that a server that hangs, drips or lies holds up
nothing else. It is loaded only where a mailbox is set.
"""

import logging
import threading
import time
from collections.abc import Sequence

from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.retention import READ_MAIL_AGE
from belong_mail.core.services import Services
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.inbound.mailbox import LeaseLost, Progress, Reader
from belong_mail.inbound.pipe import InboxFull
from belong_mail.mail.imap.location import MailboxLocation
from belong_mail.mail.imap.mailbox import Mailbox, MailboxUnavailable, open_mailbox, token_source

# Seconds between polls; after failures twice as many each time, up to the second number.
POLL_GAP_SECONDS, MAX_GAP_SECONDS = 60.0, 900.0
# Seconds after which a poll begins no message more, and after which it is cut off.
READ_SECONDS, POLL_SECONDS = 40.0, 60.0
# Messages of a poll, and those that are moved together once they are stored.
MESSAGES_AT_ONCE, MOVED_AT_ONCE = 2_000, 50
# Seconds between two deletions of what was read long ago.
DELETE_GAP_SECONDS = 3600.0
# Seconds for which `--drain`, and the end of a worker, wait at a time for a poll.
WAIT_SECONDS, END_SECONDS = 0.1, 5.0
# A step of a poll that is ours, beside those of the server.
QUEUE = "QUEUE"
log = logging.getLogger(__name__)


class Intake:
    """Polls one mailbox, one poll at a time."""

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
        # Known before their deliveries are taken over, with which their files go.
        self._dead = frozenset(lock.dead())
        self._stopping = threading.Event()
        self.poll_seconds = POLL_SECONDS
        self.poll_at = self._delete_at = 0.0
        """When the next poll, and the next deletion, is due by the monotonic clock."""
        self._thread: threading.Thread | None = None

    def poll_if_due(self) -> None:
        """Begin a poll, unless one is under way or it is not yet time; return at once."""
        is_polling = self._thread is not None and self._thread.is_alive()
        if is_polling or time.monotonic() < self.poll_at or self._stopping.is_set():
            return
        self._thread = threading.Thread(target=self._poll, name="intake", daemon=True)
        self._thread.start()

    def wait(self) -> bool:
        """Wait a moment for the poll that is under way; tell whether there was one."""
        if self._thread is None:
            return False
        self._thread.join(WAIT_SECONDS)
        if not self._thread.is_alive():
            self._thread = None
        return True

    def stop(self) -> None:
        """Begin no message more; one that a server keeps open ends with the process."""
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
        """Poll; return for how many seconds not to poll again. Raises LeaseLost."""
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
        """Take in what is there; False: there is more."""
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
    """One poll: which message it is at."""

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
        """The number of the message that is being fetched; 0: none is."""

    def take_all(self, mailbox: Mailbox) -> bool:
        """Take in new messages, then those of a poll that was cut off; False: there are more.

        A message that was taken in and not moved is read again before it is moved: a server may
        have put another one under its number. A known one is not stored twice.
        """
        with self._sessions.begin() as session:
            progress = self._reader.open_at(session, mailbox.uid_validity)
        done = progress.handled_uid
        new = mailbox.uids(MESSAGES_AT_ONCE, after=done)
        left = mailbox.uids(MESSAGES_AT_ONCE, until=done) if done else []
        for uids in (new, left):
            for start in range(0, len(uids), MOVED_AT_ONCE):
                self._take_some(mailbox, progress, uids[start : start + MOVED_AT_ONCE])
                if self._is_cut or (uids is left and self._move_failed):
                    break
        if self._move_failed:
            raise self._move_failed
        return not self._is_cut and len(new) < MESSAGES_AT_ONCE

    def _take_some(self, mailbox: Mailbox, progress: Progress, uids: Sequence[int]) -> None:
        """Store messages, each in its transaction; then move them, which may fail without harm."""
        stored = []
        for uid in uids:
            if self._stopping.is_set() or time.monotonic() > self._until:
                self._is_cut = True
                break
            self.uid = uid
            messages = [] if uid == progress.unreadable_uid else mailbox.fetch(uid)
            self.uid = 0
            with self._sessions.begin() as session:
                self._reader.take(session, uid, messages)
            if messages or uid == progress.unreadable_uid:
                stored.append(uid)
        if stored and self._move_failed is None:
            try:
                mailbox.archive(stored)
            except MailboxUnavailable as error:
                self._move_failed = error
