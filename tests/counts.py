"""Whether the counts of issues are what their rows say."""

from collections import defaultdict

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from belong_mail.delivery.models import Delivery, IssueCount


def count_faults(session: Session) -> list[str]:
    """Say where the counts that are kept differ from counted rows; nothing when none does.

    One statement sees one moment. Of an issue whose old rows are gone they do: the counts stay.
    """
    kept = select(
        IssueCount.newsletter_id, IssueCount.state, IssueCount.number, IssueCount.resent
    )
    again = func.count(func.nullif(Delivery.resent > 0, False))
    rows = select(Delivery.newsletter_id, Delivery.state, -func.count(), -again).where(
        Delivery.newsletter_id.is_not(None)
    )
    found: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    counted = rows.group_by(Delivery.newsletter_id, Delivery.state)
    for issue, state, number, resent in session.execute(union_all(kept, counted)):
        found[issue, state][0] += number
        found[issue, state][1] += resent
    return [
        f"MISCOUNTED: {state} of issue {issue} by {number}, {resent} of them resent."
        for (issue, state), (number, resent) in found.items()
        if number or resent
    ]
