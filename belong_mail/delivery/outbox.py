"""Queue email in the transaction that causes it (transactional outbox)."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from belong_mail.core import logs
from belong_mail.delivery.models import Delivery, State

# `sealed_to` of an email whose recipient follows from its arguments or the settings.
UNNAMED: Final = b""
# Run on the connection: the ORM would build the statement again for each email.
_INSERTING = insert(Delivery)


def post(session: Session, kind: str, **columns: Any) -> None:
    """Queue a message of a kind (a file of `emails/`) to exactly one recipient.

    It is sent if and only if the transaction commits. `due_at` delays it, and its expiry counts
    from then. Columns without a value are left out, so that they get their defaults.
    """
    columns |= {"kind": kind, "created_at": columns.get("due_at")}
    given = {column: value for column, value in columns.items() if value is not None}
    session.flush()
    made = session.connection().execute(_INSERTING, given)
    logs.note(session.info, "delivery", made.inserted_primary_key[0])  # type: ignore[index]


def waiting(session: Session, kinds: Iterable[str], subscription_id: int) -> Delivery | None:
    """Find an unsent message of one of these kinds to a member."""
    found = select(Delivery).where(
        Delivery.kind.in_(tuple(kinds)),
        Delivery.subscription_id == subscription_id,
        Delivery.state.in_((State.QUEUED, State.DEFERRED)),
    )
    return session.scalar(found.limit(1))
