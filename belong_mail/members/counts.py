"""Count members for leaders, rounded to tens, and large groups in several steps."""

from dataclasses import dataclass, field

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from belong_mail.accounts.models import MAX_SESSION_AGE, BrowserSession, Right, SignIn
from belong_mail.core.db import now
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription

# Members; leaders see no finer numbers.
COUNT_STEP = 10
# Memberships counted by one statement; larger groups take several minutes.
COUNTED_AT_ONCE = 100_000
# Indexes bound to one statement.
INDEXES_AT_ONCE = 500


@dataclass(slots=True)
class PartialCount:
    """The state of a count that has not finished."""

    after: int = 0
    people: int = 0
    # Indexes without the plus tag of addresses that have one; a person may have several.
    tagged: set[bytes] = field(default_factory=set)


class MemberCounts:
    """Counts the members of groups, keeping unfinished counts in memory."""

    def __init__(self, at_once: int = COUNTED_AT_ONCE) -> None:
        self._at_once = at_once
        self._begun: dict[int, PartialCount] = {}

    def go_on(self, session: Session) -> None:
        """Continue the count of each group whose leaders used the site within hours."""
        for group in watched_groups(session):
            self.count(session, group)

    def count(self, session: Session, group: Group) -> bool:
        """Count a batch of a group's members; return whether the count is finished.

        0 stands for “a few”. The shown number changes only once it is off by ten, so that no one's
        joining or leaving can be seen, even by a leader who joins and leaves to test it.
        """
        begun = self._begun.setdefault(group.id, PartialCount())
        if not _step(session, group, begun, self._at_once):
            return False
        del self._begun[group.id]
        number = begun.people + len(begun.tagged) - _counted_twice(session, group, begun.tagged)
        group.members_shown = steady(number, group.members_shown or 0)
        return True


def _step(session: Session, group: Group, begun: PartialCount, at_once: int) -> bool:
    """Count the next memberships; return whether there are no more."""
    is_active = Subscription.is_active.label("is_active")
    seen = (
        select(Subscription.id, Subscription.counted_index.label("tagged"), is_active)
        .where(Subscription.group_id == group.id, Subscription.id > begun.after)
        .order_by(Subscription.id)
        .limit(at_once)
        .subquery()
    )
    is_one = seen.c.is_active, seen.c.tagged.is_(None)
    counted = select(func.count(), func.max(seen.c.id), func.count().filter(*is_one))
    number, last, people = session.execute(counted).one()
    begun.people += people
    tagged = select(seen.c.tagged).where(seen.c.is_active, seen.c.tagged.is_not(None))
    begun.tagged.update(session.scalars(tagged))
    begun.after = last or begun.after
    return bool(number < at_once)


def _counted_twice(session: Session, group: Group, tagged: set[bytes]) -> int:
    """Count people with a plus tag who are also members without one."""
    plain = Subscription.group_id == group.id, Subscription.is_active
    known, found = list(tagged), 0
    for first in range(0, len(known), INDEXES_AT_ONCE):
        some = Subscription.address_index.in_(known[first : first + INDEXES_AT_ONCE])
        same = select(func.count()).where(*plain, Subscription.counted_index.is_(None), some)
        found += session.scalar(same) or 0
    return found


def watched_groups(session: Session) -> list[Group]:
    """List groups with a leader who has signed in, or asked to, within hours.

    Only they see the numbers, and counting reads all members of a group.
    """
    since = now() - MAX_SESSION_AGE
    signed_in = select(BrowserSession.account_id).where(BrowserSession.started_at > since)
    asking = select(SignIn.account_id).where(SignIn.created_at > since)
    led = select(Right.group_id).where(Right.account_id.in_(union(signed_in, asking)))
    return list(session.scalars(select(Group).where(Group.id.in_(led))))


def steady(number: int, told: int) -> int:
    """Return the number shown so far, unless the true one differs by COUNT_STEP."""
    if abs(number - told) < COUNT_STEP:
        return told
    return 0 if number < COUNT_STEP else round(number, -1)


def in_tens(number: int) -> int:
    """Round down to tens; 0 stands for “a few”."""
    return number // COUNT_STEP * COUNT_STEP
