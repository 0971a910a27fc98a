"""Queue email in the transaction that causes it (transactional outbox)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from belong_mail.core import logs
from belong_mail.delivery.models import Delivery, State

# `sealed_to` of an email whose recipient follows from its arguments or the settings.
UNNAMED: Final = b""
# Run on the connection: the ORM would build the statement again for each email.
_INSERTING = insert(Delivery)


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
    """Queue a message of a kind (a file of `emails/`) to exactly one recipient.

    It is sent if and only if the transaction commits. `due_at` delays it, and its expiry counts
    from then. Columns without a value are left out, so that they get their defaults.
    """
    said = {
        "subscription_id": subscription_id,
        "account_id": account_id,
        "sealed_to": sealed_to,
        "about_id": about_id,
        "sealed_arguments": sealed_arguments,
        "due_at": due_at,
        "created_at": due_at,
    }
    given = {column: value for column, value in said.items() if value is not None}
    session.flush()
    made = session.connection().execute(_INSERTING, {"kind": kind, **given})
    logs.note(session.info, "delivery", made.inserted_primary_key[0])  # type: ignore[index]


def waiting(session: Session, kinds: Iterable[str], subscription_id: int) -> Delivery | None:
    """Find an unsent message of one of these kinds to a member."""
    found = select(Delivery).where(
        Delivery.kind.in_(tuple(kinds)),
        Delivery.subscription_id == subscription_id,
        Delivery.state.in_((State.QUEUED, State.DEFERRED)),
    )
    return session.scalar(found.limit(1))
