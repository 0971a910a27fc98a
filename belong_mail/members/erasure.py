"""Erase a person: at once for all email, and row by row in the database.

Were all their rows to go in one moment, two copies of the database that are compared would show
which memberships were one person's. So each goes at an hour of its own, drawn by the worker. Until
then it is as if it were gone: no email is written to it, and who joins anew begins anew.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, case, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, Opener
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, State
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.members.models import Erasure, Subscription

ERASURE_COLUMN = "erasures.wrapped"
WRAPPED_COLUMNS.append(WrappedColumn(Erasure.wrapped, ERASURE_COLUMN, Erasure.public_id))
# By then each row is gone.
ERASED_WITHIN = timedelta(days=2)
# Two hosts' clocks may differ by so much.
SKEW = timedelta(minutes=2)
# Octets to which a list is filled up: its length does not tell how much it names.
LENGTH = 4096


@dataclass(frozen=True, slots=True)
class OpenedErasure:
    """An erasure as the worker reads it."""

    # Rows to delete: public ids of memberships and notes, references of messages.
    names: frozenset[str]
    began_at: datetime
    # Nobody who reads the database can work the hours out.
    seed: str

    def due(self, at: datetime) -> list[str]:
        """List what must be gone by now."""
        return [name for name in self.names if self._hour(name) <= at]

    def is_over(self, at: datetime) -> bool:
        return self.began_at + ERASED_WITHIN <= at

    def _hour(self, name: str) -> datetime:
        drawn = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()[:8]
        return self.began_at + ERASED_WITHIN * (int.from_bytes(drawn) / 2**64)


def start_erasure(
    session: Session, opener: Opener, index: BlindIndex, identity: str, names: set[str]
) -> None:
    """Erase from now on the rows that a normalised address has; later ones are not meant.

    Rows to which an issue on its way may be about to be written go at once.
    """
    row = session.get(Erasure, index.erased(identity), with_for_update=True)
    if row is None:
        row = Erasure(address_index=index.erased(identity), public_id=new_public_id())
        session.add(row)
    else:
        names = names | _read(opener, row).names
    _keep(opener, row, names, now())
    session.flush()
    rows = session.scalars(select(Subscription).where(Subscription.public_id.in_(names)))
    forget_subscriptions(session, [each for each in rows if _is_to_be_mailed(session, each)])


def _keep(opener: Opener, row: Erasure, names: Iterable[str], at: datetime) -> None:
    """Wrap what is to go from a time on, at hours drawn now."""
    said = {"names": sorted(names), "began": at.isoformat(), "seed": secrets.token_hex(16)}
    content = json.dumps(said).encode()
    content += b" " * (-len(content) % LENGTH)
    row.wrapped = opener.wrap(content, ERASURE_COLUMN, row.public_id)


def is_being_erased(session: Session, keyring: Keyring, identity: str, public_id: str) -> bool:
    """Tell whether a membership is as good as gone."""
    row = session.get(Erasure, keyring.index.erased(identity))
    return row is not None and public_id in _read(keyring.opener, row).names


def due_erasures(session: Session, opener: Opener, at: datetime) -> list[str]:
    """Delete the memberships whose hours have come; return the names of all that is due.

    An erasure that began by a clock that was ahead begins now: its rows would stay for as long.
    """
    due: list[str] = []
    # Those that no other worker is about to carry on.
    for row in session.scalars(select(Erasure).with_for_update(skip_locked=True)).all():
        erasing = _read(opener, row)
        if erasing.began_at > at + SKEW:
            _keep(opener, row, erasing.names, at)
            continue
        due += erasing.due(at)
        if erasing.is_over(at):
            session.delete(row)
    forget_subscriptions(session, list(session.scalars(_named(due))))
    return due


def leave_out(session: Session, opener: Opener, group: Group) -> None:
    """Delete now what is being erased in a group: an issue is about to be written to it.

    Also what another worker is about to carry on: nobody would come back to it before the issue.
    """
    rows = session.scalars(select(Erasure)).all()
    names = [name for row in rows for name in _read(opener, row).names]
    found = _named(names).where(Subscription.group_id == group.id)
    forget_subscriptions(session, list(session.scalars(found)) if names else [])


def _named(names: list[str]) -> Select[Any]:
    return select(Subscription).where(Subscription.public_id.in_(names))


def _read(opener: Opener, row: Erasure) -> OpenedErasure:
    """Open an erasure; one that the worker did not make names nothing."""
    try:
        said = json.loads(opener.unwrap(row.wrapped, ERASURE_COLUMN, row.public_id))
    except DecryptionError:
        return OpenedErasure(frozenset(), now(), "")
    began_at = datetime.fromisoformat(said["began"])
    return OpenedErasure(frozenset(said["names"]), began_at, said["seed"])


def forget_subscriptions(session: Session, rows: list[Subscription]) -> None:
    """Delete subscriptions. Waiting email stays here; sent email forgets its reader.

    A withdrawn copy gets the time of its own issue, so that no moment joins a person's groups.
    """
    if not rows:
        return
    ids = [each.id for each in rows]
    about = and_(Delivery.kind == "introduce-member", Delivery.about_id.in_(ids))
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
    """Tell whether a copy of an issue waits for a membership, or is planned for its chunk."""
    waits = or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None))
    copies = exists().where(
        Delivery.subscription_id == subscription.id, Delivery.newsletter_id.is_not(None), waits
    )
    stretches = exists().where(
        Chunk.inserted.is_(None), Chunk.low <= subscription.id, Chunk.high >= subscription.id
    )
    return bool(session.scalar(select(or_(copies, stretches))))
