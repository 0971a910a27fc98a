"""Whether the counts of issues are what their rows say."""

from collections import defaultdict
from typing import Any

from sqlalchemy import case, func, select, union_all

from belong_mail.delivery.models import Delivery, IssueCount


def count_faults(session) -> list[str]:
    """Say where the counts that are kept differ from counted rows; nothing when none does.

    One statement sees one moment. For an issue whose old rows are gone they do: the counts stay.
    """
    kept = select(IssueCount.newsletter_id, IssueCount.state, IssueCount.number, IssueCount.resent)
    again = func.sum(case((Delivery.resent > 0, 1), else_=0))
    rows = select(Delivery.newsletter_id, Delivery.state, -func.count(), -again).where(
        Delivery.newsletter_id.is_not(None)
    )
    found: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    counted: Any = rows.group_by(Delivery.newsletter_id, Delivery.state)
    for issue, state, number, resent in session.execute(union_all(kept, counted)).all():
        found[issue, state][0] += number
        found[issue, state][1] += resent
    return [
        f"MISCOUNTED: {state} of issue {issue} by {number}, {resent} of them resent."
        for (issue, state), (number, resent) in found.items()
        if number or resent
    ]
