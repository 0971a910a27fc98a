"""Claiming what is due, giving it back, and taking over what a dead worker held."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.sending import settling
from belong_mail.sending.models import Chunk, Delivery, Lease, State
from belong_mail.sending.presence import Presence, Standing

LEASE = timedelta(minutes=1)
"""What a worker holds is its own for so long; it renews the lease while it lives."""

WAITING = (State.QUEUED, State.DEFERRED, State.UNCERTAIN)


class Members(Protocol):
    """Who is still to get an issue."""

    chosen: Select[int]
    """Selects subscriptions, with bound parameters: a chunk's low and high, and of `prepare`."""

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, object]:
        """Make an issue ready to be sent and return its parameters."""


def renew(session: Session, owner: str) -> None:
    """Show that a worker lives, wherever others run."""
    until = now() + LEASE
    renewed = update(Lease).where(Lease.owner == owner).values(until=until).returning(Lease.owner)
    if session.scalar(renewed) is None:
        session.add(Lease(owner=owner, until=until))


def claim(session: Session, owner: str, most: int) -> list[int]:
    """Take what is due: single messages first, then members of issues who are tried again."""
    is_harmless = Delivery.deaths == 0
    ids = _due(session, Delivery.newsletter_id.is_(None) & is_harmless, most)
    if len(ids) < most:
        ids += _due(session, Delivery.newsletter_id.is_not(None) & is_harmless, most - len(ids))
    return _claim(session, owner, ids)


def claim_suspect(session: Session, owner: str) -> list[int]:
    """Take one of those at which workers died: one at a time, when nothing else is due."""
    return _claim(session, owner, _due(session, Delivery.deaths > 0, 1))


def claim_chunk(session: Session, owner: str, members: Members, most: int) -> list[int]:
    """Turn the next chunk into deliveries and take them; if it is too large, leave them due."""
    connection = session.connection()
    chunk = connection.execute(_NEXT_CHUNK).one_or_none()
    if chunk is None:
        return []
    is_small, at = chunk.planned <= most, now()
    entry = {
        "newsletter_id": chunk.newsletter_id,
        "state": (State.SENDING if is_small else State.QUEUED).value,
        "claimed_by": owner if is_small else None,
        "created_at": at,
        "due_at": None if is_small else at,
        "low": chunk.low,
        "high": chunk.high,
        **members.prepare(session, chunk.newsletter_id),
    }
    ids = _enter(connection, members.chosen, entry)
    if len(ids) != chunk.planned:
        session.execute(update(Chunk).where(Chunk.id == chunk.id).values(inserted=len(ids)))
    return ids if is_small else claim(session, owner, most)


def recover(session: Session, presence: Presence, uncertain: timedelta | None) -> list[str]:
    """Take over what dead workers held and return their names.

    Their journal tells what may have left; without it all that they held may have.
    """
    others = select(Lease).where(Lease.owner != presence.name)
    dead = [
        lease.owner
        for lease in session.scalars(others.with_for_update(skip_locked=True))
        if _is_dead(presence.judge(lease.owner), lease.until)
    ]
    for owner in dead:
        settling.take_over(session, owner, presence.marks(owner), uncertain)
        session.execute(delete(Lease).where(Lease.owner == owner))
    return dead


def resign(session: Session, owner: str) -> None:
    """End a lease; the owner holds nothing more."""
    session.execute(delete(Lease).where(Lease.owner == owner))


def give_back_all_but(session: Session, owner: str, ids: set[int]) -> None:
    """Give back what an owner holds without knowing it: a commit whose answer was lost."""
    unknown = update(Delivery).where(
        Delivery.claimed_by == owner, Delivery.state == State.SENDING, Delivery.id.not_in(ids)
    )
    session.execute(unknown.values(settling.given_back()))


def _claim(session: Session, owner: str, ids: list[int]) -> list[int]:
    if ids:
        claimed = update(Delivery).where(Delivery.id.in_(ids))
        values = {"claimed_by": owner, "due_at": None, "finished_at": None}
        session.execute(claimed.values(state=State.SENDING, **values))
    return ids


def _due(session: Session, which: ColumnElement[bool], most: int) -> list[int]:
    due = (
        select(Delivery.id)
        .where(which, Delivery.due_at <= now(), Delivery.state.in_(WAITING))
        .order_by(Delivery.due_at, Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(due))


def _enter(connection: Connection, chosen: Select[int], entry: dict[str, Any]) -> list[int]:
    """Insert deliveries and return their ids; SQLite numbers the rows of one statement in turn."""
    if connection.dialect.name != "sqlite":
        return list(connection.scalars(_entering(chosen, is_returning=True), entry).all())
    entered = connection.execute(_entering(chosen), entry)
    return list(range(entered.lastrowid - entered.rowcount + 1, entered.lastrowid + 1))


@cache
def _entering(chosen: Select[int], *, is_returning: bool = False) -> Any:
    """Build the statement that enters a chunk's deliveries; once, for it is run for each chunk."""
    members = chosen.subquery()
    entry: dict[Any, Any] = {
        column: bindparam(column.key, type_=column.type)
        for column in (
            Delivery.newsletter_id,
            Delivery.state,
            Delivery.claimed_by,
            Delivery.created_at,
            Delivery.due_at,
        )
    }
    entry |= {Delivery.kind: literal("newsletter"), Delivery.subscription_id: members.c[0]}
    inserting = insert(Delivery).from_select(list(entry), select(*entry.values()))
    return inserting.returning(Delivery.id) if is_returning else inserting


def _is_dead(standing: Standing, lease_until: datetime) -> bool:
    return standing is Standing.DEAD or (standing is Standing.UNKNOWN and lease_until < now())


_next = (
    select(Chunk.id)
    .where(Chunk.inserted.is_(None), Chunk.is_halted.is_(False))
    .order_by(Chunk.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_NEXT_CHUNK = (
    update(Chunk)
    .where(Chunk.id == _next.scalar_subquery())
    .values(inserted=Chunk.planned)
    .returning(Chunk.id, Chunk.newsletter_id, Chunk.low, Chunk.high, Chunk.planned)
)
