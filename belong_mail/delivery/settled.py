"""The counts of issues of which nothing waits any more."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.db import dialect_insert
from belong_mail.delivery.models import Delivery, IssueCount, SettledIssue


def add_count(session: Session, issue_id: int, state: str, number: int, resent: int) -> None:
    """Add to how many of an issue's deliveries ended in a state, or take from it."""
    row = {"newsletter_id": issue_id, "state": state, "number": number, "resent": resent}
    first = dialect_insert(session.get_bind().dialect.name)(IssueCount).values(row)
    more = {name: getattr(IssueCount, name) + first.excluded[name] for name in ("number", "resent")}
    key = [IssueCount.newsletter_id, IssueCount.state]
    session.execute(first.on_conflict_do_update(index_elements=key, set_=more))


def move(session: Session, delivery: Delivery, before: str) -> None:
    """Follow a delivery that has another state than before, if its issue is settled.

    Called in the transaction of that change, after it.
    """
    if delivery.newsletter_id is None or delivery.state == before:
        return
    session.flush()
    found = select(SettledIssue.settled_at).where(
        SettledIssue.newsletter_id == delivery.newsletter_id
    )
    if session.scalar(found.with_for_update()) is None:
        return
    resent = int(bool(delivery.resent))
    add_count(session, delivery.newsletter_id, before, -1, -resent)
    add_count(session, delivery.newsletter_id, delivery.state, 1, resent)
