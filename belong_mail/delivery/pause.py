"""Pause, resume and stop the sending of an issue."""

from typing import Any

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.delivery.models import HALTED_NEWSLETTERS, Chunk, Delivery, State

PAUSABLE_STATES = (State.QUEUED, State.DEFERRED)


def pause(session: Session, newsletter_id: int) -> None:
    """Stop an issue's deliveries from being claimed.

    A worker gives back what it has claimed but not sent within STALE_SECONDS.
    """
    _deliveries(session, newsletter_id, due_at=None)
    _chunks(session, newsletter_id, is_halted=True)


def resume(session: Session, newsletter_id: int) -> None:
    """Resume a paused issue; its expiry counts from now, and no one gets it twice.

    Does nothing unless the worker paused it, as the web can ask any number of times.
    """
    if session.scalar(HALTED_NEWSLETTERS.where(Chunk.newsletter_id == newsletter_id)) is None:
        return
    at = now()
    _deliveries(session, newsletter_id, due_at=at, created_at=at)
    _chunks(session, newsletter_id, is_halted=False)


def stop(session: Session, newsletter_id: int) -> None:
    """Withdraw the copies that were not sent. Uncertain ones stay so, and are not retried."""
    state = case((Delivery.lost_at.is_not(None), State.UNCERTAIN), else_=State.WITHDRAWN)
    finished_at = func.coalesce(Delivery.lost_at, now())
    _deliveries(session, newsletter_id, state=state, finished_at=finished_at)
    _deliveries(session, newsletter_id, (State.UNCERTAIN, State.WITHDRAWN), due_at=None)
    _chunks(session, newsletter_id, is_halted=False)
    waiting = update(Chunk).where(Chunk.newsletter_id == newsletter_id, Chunk.inserted.is_(None))
    session.execute(waiting.values(inserted=0))


def is_in_hand(session: Session, newsletter_id: int) -> bool:
    """Return whether a worker is sending copies of an issue now."""
    held = Delivery.newsletter_id == newsletter_id, Delivery.state == State.SENDING
    return session.scalar(select(Delivery.id).where(*held).limit(1)) is not None


def withdraw(session: Session, *which: ColumnElement[bool]) -> None:
    """Withdraw waiting copies. A worker checks its claimed ones once more before it sends them."""
    waiting = update(Delivery).where(*which, Delivery.state.in_(PAUSABLE_STATES))
    values = {"state": State.WITHDRAWN, "finished_at": now(), "due_at": None}
    session.execute(waiting.values(values))


def _deliveries(
    session: Session, newsletter_id: int, states: tuple[State, ...] = PAUSABLE_STATES, **values: Any
) -> None:
    theirs = Delivery.newsletter_id == newsletter_id, Delivery.state.in_(states)
    session.execute(update(Delivery).where(*theirs).values(values))


def _chunks(session: Session, newsletter_id: int, *, is_halted: bool) -> None:
    chunks = update(Chunk).where(Chunk.newsletter_id == newsletter_id)
    session.execute(chunks.values(is_halted=is_halted))
