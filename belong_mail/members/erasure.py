"""Erase a person's data: no more email at once, and their rows one by one within two days.

If all rows were deleted at once, two copies of the database would show which memberships were one
person's. So each row gets a random time. Until then it counts as deleted: it gets no email, and a
sign-up starts afresh.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, case, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.core.db import SKEW, Base, new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, Opener
from belong_mail.core.retention import ERASED_WITHIN
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, State
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise
from belong_mail.members.models import INTRODUCE, Erasure, Subscription, WaitlistEntry
from belong_mail.members.wrapped_fields import open_address

ERASURE_COLUMN = "erasures.wrapped"
WRAPPED_COLUMNS.append(WrappedColumn(Erasure.wrapped, ERASURE_COLUMN, Erasure.public_id))
# Bytes to which the list of rows is padded, to hide its length.
LENGTH = 4096
# Ids bound to one statement; a person may have written very many messages.
LOT = 500


@dataclass(frozen=True, slots=True)
class OpenedErasure:
    """A decrypted erasure."""

    # Rows to delete, as `name_of` returns them.
    names: frozenset[str]
    began_at: datetime
    # Seed of the rows' times, which no one can compute without it.
    seed: str

    def due(self, at: datetime) -> list[str]:
        """Return the rows whose time has come."""
        return [name for name in self.names if self._hour(name) <= at]

    def is_over(self, at: datetime) -> bool:
        return self.began_at + ERASED_WITHIN <= at

    def _hour(self, name: str) -> datetime:
        drawn = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()[:8]
        return self.began_at + ERASED_WITHIN * (int.from_bytes(drawn) / 2**64)


def name_of(row: Subscription | WaitlistEntry | ContactMessage) -> str:
    """Return table and id, as the web could write a message's reference that equals another id."""
    own = row.reference if isinstance(row, ContactMessage) else row.public_id
    return f"{row.__tablename__}/{own}"


def start_erasure(
    session: Session, opener: Opener, index: BlindIndex, identity: str, names: set[str]
) -> None:
    """Start to erase a mailbox's current rows; later ones stay.

    Memberships that an issue is about to be sent to are deleted at once.
    """
    row = session.get(Erasure, index.erased(identity), with_for_update=True)
    if row is None:
        row = Erasure(address_index=index.erased(identity), public_id=new_public_id())
        session.add(row)
    else:
        names = names | _read(opener, row).names
    _keep(opener, row, names, now())
    session.flush()
    rows = _memberships(session, names)
    forget_subscriptions(session, [each for each in rows if _is_to_be_mailed(session, each)])


def _keep(opener: Opener, row: Erasure, names: Iterable[str], at: datetime) -> None:
    """Store the rows to delete, wrapped, with a new start and seed."""
    said = {"names": sorted(names), "began": at.isoformat(), "seed": secrets.token_hex(16)}
    content = json.dumps(said).encode()
    content += b" " * (-len(content) % LENGTH)
    row.wrapped = opener.wrap(content, ERASURE_COLUMN, row.public_id)


def is_being_erased(
    session: Session, keyring: Keyring, identity: str, held: Subscription | WaitlistEntry
) -> bool:
    """Return whether a membership or request is being erased.

    Version 1.0 noted addresses with plus tags, which their rows still have.
    """
    spelled = normalise(open_address(keyring, held)[0])
    found = (session.get(Erasure, keyring.index.erased(each)) for each in {identity, spelled})
    return any(row and name_of(held) in _read(keyring.opener, row).names for row in found)


def erase_due(session: Session, opener: Opener, at: datetime) -> None:
    """Delete the rows whose time has come.

    An erasure started by a clock that ran ahead starts anew, so that its rows do not stay too long.
    """
    due: list[str] = []
    # Leave out those that another worker has locked.
    for row in session.scalars(select(Erasure).with_for_update(skip_locked=True)).all():
        erasing = _read(opener, row)
        if erasing.began_at > at + SKEW:
            _keep(opener, row, erasing.names, at)
            continue
        due += erasing.due(at)
        if erasing.is_over(at):
            session.delete(row)
    forget_subscriptions(session, _memberships(session, due))
    for names in _lots(due, WaitlistEntry):
        session.execute(delete(WaitlistEntry).where(WaitlistEntry.public_id.in_(names)))
    for names in _lots(due, ContactMessage):
        session.execute(delete(ContactMessage).where(ContactMessage.reference.in_(names)))


def leave_out(session: Session, opener: Opener, group: Group) -> None:
    """Delete a group's memberships that are being erased, before an issue is queued.

    Waits for rows that other workers have locked: these may delete them only after the issue.
    """
    rows = session.scalars(select(Erasure)).all()
    names = [name for row in rows for name in _read(opener, row).names]
    theirs = [each for each in _memberships(session, names) if each.group_id == group.id]
    forget_subscriptions(session, theirs)


def _memberships(session: Session, names: Iterable[str]) -> list[Subscription]:
    """Return the memberships among rows to delete."""
    found = select(Subscription)
    lots = _lots(names, Subscription)
    rows = (session.scalars(found.where(Subscription.public_id.in_(lot))) for lot in lots)
    return [row for lot in rows for row in lot]


def _lots(names: Iterable[str], table: type[Base]) -> Iterator[list[str]]:
    """Yield the ids or references of rows of one table, LOT at a time."""
    split = (name.partition("/") for name in names)
    theirs = [own for kind, _, own in split if kind == table.__tablename__]
    return (theirs[start : start + LOT] for start in range(0, len(theirs), LOT))


def _read(opener: Opener, row: Erasure) -> OpenedErasure:
    """Decrypt an erasure; if the worker did not write it, it is empty."""
    try:
        said = json.loads(opener.unwrap(row.wrapped, ERASURE_COLUMN, row.public_id))
    except DecryptionError:
        return OpenedErasure(frozenset(), now(), "")
    began_at = datetime.fromisoformat(said["began"])
    return OpenedErasure(frozenset(said["names"]), began_at, said["seed"])


def forget_subscriptions(session: Session, rows: list[Subscription]) -> None:
    """Delete memberships, withdraw their waiting email, and unlink their deliveries.

    A withdrawn copy gets its own issue's time, so that no common time relates a person's groups.
    """
    if not rows:
        return
    ids = [each.id for each in rows]
    about = and_(Delivery.kind == INTRODUCE, Delivery.about_id.in_(ids))
    theirs = update(Delivery).where(or_(Delivery.subscription_id.in_(ids), about))
    theirs = theirs.execution_options(synchronize_session=False)
    state = case(
        (Delivery.state == State.SENDING, State.UNCERTAIN.value), else_=State.WITHDRAWN.value
    )
    waiting = theirs.where(Delivery.state.in_(UNFINISHED))
    session.execute(waiting.values(state=state, finished_at=Delivery.created_at))
    session.execute(theirs.values(subscription_id=None, about_id=None, due_at=None))
    session.execute(delete(Subscription).where(Subscription.id.in_(ids)))


def _is_to_be_mailed(session: Session, subscription: Subscription) -> bool:
    """Return whether an issue waits for a member: as a copy, or as a chunk with the member's id."""
    waits = or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None))
    copies = exists().where(
        Delivery.subscription_id == subscription.id, Delivery.newsletter_id.is_not(None), waits
    )
    chunks = exists().where(
        Chunk.inserted.is_(None), Chunk.low <= subscription.id, Chunk.high >= subscription.id
    )
    return bool(session.scalar(select(or_(copies, chunks))))
