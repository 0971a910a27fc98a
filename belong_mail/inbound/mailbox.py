"""Take in what the mailbox holds that email comes back to, as its only reader for a while.

Each message is stored in the transaction that says how far we are, and once, whatever number the
server gives it: so a poll that is cut off at any step is begun again without harm.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import dialect_insert, now, required
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.inbound import pipe
from belong_mail.inbound.jobs import ReadReturned
from belong_mail.inbound.models import InboundDigest, InboundMailbox

# A worker that may be gone is waited for so long, which is longer than a poll may take to find the
# next message; each message that is taken in renews the lease.
LEASE = timedelta(seconds=90)
# Looks that broke off at one message, after which it is put away unread.
MAX_BREAKS = 5


class LeaseLost(Exception):
    """Another worker reads the mailbox by now."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mailbox is read; no row, which another thread might hold."""

    handled_uid: int
    unreadable_uid: int


@dataclass(frozen=True, slots=True)
class Reader:
    """One worker's view of one mailbox; each verb is of one transaction of its caller's."""

    name: bytes
    owner: str
    sealer: Sealer
    index: BlindIndex

    def lease(self, session: Session, dead: Collection[str]) -> bool:
        """Take the mailbox for a while, from dead workers at once; False: another worker has it."""
        at = now()
        new = dialect_insert(session.get_bind().dialect.name)(InboundMailbox)
        row = new.values(name=self.name, first_tried_at=at)
        session.execute(row.on_conflict_do_nothing(index_elements=[InboundMailbox.name]))
        is_free = or_(
            InboundMailbox.leased_by.in_((self.owner, *dead)),
            InboundMailbox.leased_until.is_(None),
            # Also of a worker whose clock was ahead.
            ~InboundMailbox.leased_until.between(at, at + LEASE),
        )
        taken = update(InboundMailbox).where(InboundMailbox.name == self.name, is_free)
        return self._changed(
            session, taken.values(leased_by=self.owner, leased_until=at + LEASE, tried_at=at)
        )

    def open_at(self, session: Session, uid_validity: int) -> Progress:
        """Say how far the mailbox is read; with another UIDVALIDITY, or none, all of it is new."""
        held = self._leased_mailbox(session)
        if held.uid_validity != uid_validity or not uid_validity:
            held.uid_validity = uid_validity
            held.handled_uid = held.broken_uid = held.breaks = 0
        broken = held.broken_uid if held.breaks >= MAX_BREAKS else 0
        return Progress(held.handled_uid, broken)

    def take(self, session: Session, uid: int, messages: Iterable[bytes]) -> None:
        """Store what stands under a number, sealed; raises InboxFull, and LeaseLost.

        Each message is stored once: the digest is written in the same transaction.
        """
        at = now()
        handled = case((InboundMailbox.handled_uid < uid, uid), else_=InboundMailbox.handled_uid)
        mine = update(InboundMailbox).where(
            InboundMailbox.name == self.name, InboundMailbox.leased_by == self.owner
        )
        if not self._changed(session, mine.values(handled_uid=handled, leased_until=at + LEASE)):
            raise LeaseLost
        for message in messages:
            if self._is_new(session, message):
                self._store(session, message)

    def succeed(self, session: Session) -> None:
        """Write down that a poll ended well, and free the mailbox for the next worker."""
        held = self._leased_mailbox(session)
        held.looked_at, held.failures, held.failed_step = now(), 0, ""
        held.broken_uid = held.breaks = 0
        held.leased_until = None

    def fail(self, session: Session, step: str, uid: int = 0) -> int:
        """Write down at which step, and which message, a poll ended; return how often in a row."""
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

    @staticmethod
    def _changed(session: Session, statement: object) -> bool:
        done: object = session.execute(statement)  # type: ignore[call-overload]
        return getattr(done, "rowcount", 0) == 1
