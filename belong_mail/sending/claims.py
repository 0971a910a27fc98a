"""Claiming what is due, giving it back, and taking over what a dead worker held."""

import fcntl
import os
import secrets
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, insert, select, update
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.sending.models import Chunk, Delivery, State

LEASE = timedelta(minutes=45)
"""Longer than the longest conversation about one message (RFC 5321, 4.5.3.2)."""

Members = Callable[[Session, Chunk], Select[*tuple[Any, ...]]]
"""Selects the columns of `COLUMNS` for the members of a chunk who are still to get the issue."""
COLUMNS = ("kind", "newsletter_id", "subscription_id", "state", "created_at", "due_at")


class Presence:
    """A worker's name, and the lock that shows other workers of its folder that it lives."""

    def __init__(self, folder: Path, host: str) -> None:
        """Take the folder of the locks, and the name of all who share it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._ours = f"{socket.gethostname()}.{host}."
        self.name = f"{self._ours}{os.getpid()}.{secrets.token_hex(4)}"
        self._file = (folder / self.name).open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_near(self, name: str) -> bool:
        """Tell whether a worker shares our folder: its lock tells whether it lives, no clock."""
        return name.startswith(self._ours)

    def is_dead(self, name: str) -> bool:
        """Tell whether a worker of this folder has ended; of others only leases tell."""
        if name == self.name or not self.is_near(name):
            return False
        with (self._folder / name).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        (self._folder / name).unlink(missing_ok=True)
        return True

    def end(self) -> None:
        self._file.close()
        (self._folder / self.name).unlink(missing_ok=True)


def are_working(folder: Path) -> bool:
    """Tell whether a worker holds a lock in this folder."""
    for lock in folder.glob("*.*"):
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def claim(session: Session, owner: str, most: int) -> list[int]:
    """Take what is due: single messages first, then the members of issues."""
    at = now()
    due = (
        select(Delivery.id)
        .where(
            Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN)),
            Delivery.due_at <= at,
        )
        .order_by(Delivery.newsletter_id.is_not(None), Delivery.due_at, Delivery.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due))
    claimed = update(Delivery).where(Delivery.id.in_(ids))
    session.execute(
        claimed.values(
            state=State.SENDING,
            claimed_by=owner,
            lease_until=at + LEASE,
            is_dot_sent=False,
            finished_at=None,
        )
    )
    return ids


def claim_chunk(session: Session, members: Members) -> bool:
    """Turn the next chunk into deliveries; tell whether there was one."""
    waiting = (
        select(Chunk)
        .where(Chunk.inserted.is_(None), Chunk.is_halted.is_(False))
        .order_by(Chunk.id)
        .limit(1)
    )
    chunk = session.scalar(waiting.with_for_update(skip_locked=True))
    if chunk is None:
        return False
    chosen = members(session, chunk)
    inserting = insert(Delivery).from_select(COLUMNS, chosen)
    inserted: Any = session.execute(inserting.execution_options(preserve_rowcount=True))
    chunk.inserted = inserted.rowcount
    return True


def mark_dot(session: Session, owner: str, delivery_id: int) -> bool:
    """Write down that the final dot may leave now; tell whether the delivery is still ours.

    The lease begins anew, so that it outlasts the wait for the answer.
    """
    held = _held_by(owner, is_dot_sent=False) & (Delivery.id == delivery_id)
    resent = case((Delivery.lost_at.is_not(None), Delivery.resent + 1), else_=Delivery.resent)
    marked = update(Delivery).where(held)
    marked = marked.values(is_dot_sent=True, resent=resent, lease_until=now() + LEASE)
    return session.execute(marked.returning(Delivery.id)).first() is not None


def release(
    session: Session,
    owner: str,
    due_at: datetime | None = None,
    ids: list[int] | None = None,
) -> None:
    """Give back what an owner holds and has not handed over."""
    held = _held_by(owner, is_dot_sent=False)
    if ids is not None:
        held = held & Delivery.id.in_(ids)
    values: dict[str, Any] = {"state": _before_claim(), "claimed_by": None}
    if due_at is not None:
        values["due_at"] = due_at
    session.execute(update(Delivery).where(held).values(values))


def recover(session: Session, presence: Presence) -> list[Delivery]:
    """Take over what dead workers held: return what may have left; the rest is due again."""
    holders = select(Delivery.claimed_by, func.max(Delivery.lease_until))
    holders = holders.where(Delivery.state == State.SENDING).group_by(Delivery.claimed_by)
    doubtful: list[Delivery] = []
    for owner, lease_until in session.execute(holders).all():
        if owner is None or lease_until is None:
            continue
        is_over = lease_until < now() and not presence.is_near(owner)
        if presence.is_dead(owner) or is_over:
            release(session, owner)
            left = select(Delivery).where(_held_by(owner, is_dot_sent=True))
            doubtful += session.scalars(left.with_for_update(skip_locked=True))
    return doubtful


def _held_by(owner: str, *, is_dot_sent: bool) -> ColumnElement[bool]:
    return (
        (Delivery.claimed_by == owner)
        & (Delivery.state == State.SENDING)
        & Delivery.is_dot_sent.is_(is_dot_sent)
    )


def _before_claim() -> ColumnElement[str]:
    return case(
        (Delivery.lost_at.is_not(None), State.UNCERTAIN),
        (Delivery.attempts > 0, State.DEFERRED),
        else_=State.QUEUED,
    )
