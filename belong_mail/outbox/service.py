"""Asking for mail, in the transaction of the fact that caused it."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.sending.models import Delivery, State


def post(
    session: Session,
    kind: str,
    *,
    subscription_id: int | None = None,
    account_id: int | None = None,
    sealed_to: bytes | None = None,
    about_id: int | None = None,
    sealed_arguments: bytes | None = None,
    due_at: datetime | None = None,
) -> None:
    """Ask for a message of a kind (a folder of `emails/`) to exactly one recipient.

    It leaves if and only if the transaction commits; one that is to leave later is dated and
    given up as if it had been asked for then.
    """
    delivery = Delivery(
        kind=kind,
        subscription_id=subscription_id,
        account_id=account_id,
        sealed_to=sealed_to,
        about_id=about_id,
        sealed_arguments=sealed_arguments,
    )
    if due_at is not None:
        delivery.due_at = delivery.created_at = due_at
    session.add(delivery)


def is_waiting(session: Session, kind: str, subscription_id: int) -> bool:
    """Tell whether a message of this kind to this member has not begun to leave."""
    waiting = (State.QUEUED, State.DEFERRED)
    found = select(Delivery.id).where(
        Delivery.kind == kind,
        Delivery.subscription_id == subscription_id,
        Delivery.state.in_(waiting),
    )
    return session.scalar(found.limit(1)) is not None
