"""Writing down what became of many deliveries at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Update, and_, bindparam, case, update
from sqlalchemy.orm import Session

from belong_mail.db import UtcTime, among, now
from belong_mail.sending import outcomes
from belong_mail.sending.models import Delivery, State


def settle(
    session: Session,
    owner: str,
    results: Iterable[tuple[int, outcomes.Outcome]],
    uncertain: timedelta | None,
    rest_until: datetime | None,
) -> None:
    """Write down what became of deliveries that an owner holds; what is no longer its stays.

    What was taken from it as uncertain is settled all the same when it was accepted after all.
    """
    accepted: list[int] = []
    session.flush()
    for delivery_id, outcome in results:
        if outcome is outcomes.ACCEPTED:
            accepted.append(delivery_id)
            continue
        delivery = session.get(Delivery, delivery_id, with_for_update=True)
        if delivery and delivery.state == State.SENDING and delivery.claimed_by == owner:
            outcomes.write(delivery, outcome, uncertain, rest_until)
    if accepted:
        _accept(session, owner, accepted)


def _accept(session: Session, owner: str, ids: list[int]) -> None:
    """Write acceptances; a second look, at what was taken from the owner, is rarely needed."""
    connection, said = session.connection(), {"ids": ids, "owner": owner, "at": now()}
    found = connection.execute(_ACCEPTING, {**said, "before": State.SENDING})
    if found.rowcount < len(ids):
        connection.execute(_ACCEPTING, {**said, "before": State.UNCERTAIN})


def _accepting() -> Update:
    accepting = update(Delivery).where(
        Delivery.id.in_(among("ids")),
        Delivery.claimed_by == bindparam("owner"),
        Delivery.state == bindparam("before"),
    )
    is_second = and_(Delivery.lost_at.is_not(None), Delivery.state == State.SENDING)
    return accepting.values(
        state=State.ACCEPTED,
        claimed_by=None,
        code=outcomes.ACCEPTED.code,
        enhanced=None,
        phrase=None,
        is_dot_sent=True,
        finished_at=bindparam("at", type_=UtcTime()),
        resent=case((is_second, 1), else_=Delivery.resent),
    )


_ACCEPTING = _accepting()
