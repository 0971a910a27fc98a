"""Count members for leaders, rounded to tens."""

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from belong_mail.accounts.models import MAX_SESSION_AGE, BrowserSession, Right, SignIn
from belong_mail.core.db import ago
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription

# Members; leaders see no finer numbers.
COUNT_STEP = 10


_SEEN = union(
    select(BrowserSession.account_id).where(BrowserSession.started_at > ago(MAX_SESSION_AGE)),
    select(SignIn.account_id).where(SignIn.created_at > ago(MAX_SESSION_AGE)),
)
# Groups with a leader who has signed in, or asked to, within hours. Only they see the numbers, and
# counting reads all members of a group.
IS_WATCHED = Group.id.in_(select(Right.group_id).where(Right.account_id.in_(_SEEN)))


def count_watched(session: Session) -> None:
    """Count the members of each group whose leaders used the site within hours."""
    for group in session.scalars(select(Group).where(IS_WATCHED)).all():
        count_members(session, group)


def count_members(session: Session, group: Group) -> None:
    """Count the members of a group.

    0 stands for “a few”. The shown number changes only once it is off by ten, so that no one's
    joining or leaving can be seen, even by a leader who joins and leaves to test it.
    """
    members = select(func.count(Subscription.id)).where(Subscription.is_active)
    number = session.scalars(members.where(Subscription.group_id == group.id)).one()
    group.members_shown = steady(number, group.members_shown or 0)


def steady(number: int, told: int) -> int:
    """Return the number shown so far, unless the true one differs by COUNT_STEP."""
    if abs(number - told) < COUNT_STEP:
        return told
    return 0 if number < COUNT_STEP else round(number, -1)


def in_tens(number: int) -> int:
    """Round down to tens; 0 stands for “a few”."""
    return number // COUNT_STEP * COUNT_STEP
