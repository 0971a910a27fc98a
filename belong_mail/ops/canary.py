"""Send a small email every few minutes: while the relay accepts it, others can leave too."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, literal_column, or_, select
from sqlalchemy.orm import Session

from belong_mail.core.retention import CANARY_AGE
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery, State
from belong_mail.ops.hold import SKEW

CANARY = "canary"
EVERY = timedelta(minutes=5)
# As the index `ix_deliveries_canary` says it, which SQLite uses for nothing else.
IS_CANARY: ColumnElement[bool] = Delivery.kind == literal_column(f"'{CANARY}'")


def send_canary(session: Session, seal: Callable[[], bytes], at: datetime) -> None:
    """Ask for one unless one waits, or was asked for in the last minutes."""
    waits = or_(Delivery.finished_at.is_(None), Delivery.due_at.is_not(None))
    is_recent = and_(Delivery.created_at > at - EVERY, Delivery.created_at <= at)
    found = select(Delivery.id).where(IS_CANARY, or_(waits, is_recent)).limit(1)
    if session.scalar(found) is None:
        outbox.post(session, CANARY, sealed_to=seal())


def silent_seconds(session: Session, at: datetime) -> float | None:
    """Return since when the relay has taken none: or since the first was asked for.

    None: no worker has asked for one.
    """
    taken = select(func.max(Delivery.finished_at)).where(
        IS_CANARY, Delivery.state == State.ACCEPTED, Delivery.finished_at <= at + SKEW
    )
    asked = select(func.min(Delivery.created_at)).where(IS_CANARY)
    since = session.scalar(taken) or session.scalar(asked)
    return None if since is None else max(0.0, (at - since).total_seconds())


def expired(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select those that have been kept long enough."""
    is_done = Delivery.finished_at < at - CANARY_AGE, Delivery.due_at.is_(None)
    return IS_CANARY, Delivery.created_at < at - CANARY_AGE, *is_done
