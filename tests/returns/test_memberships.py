"""Whose mail comes back again and again is a member no more; nobody is for one bad hour."""

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from tests.browser_client import Visitor, link_to
from tests.markers import on_sqlite
from tests.returns.mail import BROKEN_LIMIT, DISABLED, FULL, NO_DOMAIN, SPAM, UNKNOWN, bounce
from tests.returns.village import ADA, VILLAGE, Village

Why = tuple[str, str]
NOT_TO_BLAME = [
    SPAM,
    BROKEN_LIMIT,
    ("5.7.26", "550 5.7.26 This mail has been blocked because the sender is unauthenticated"),
    ("5.3.4", "552 5.3.4 Message too big for system"),
    ("5.1.8", "553 5.1.8 Sender address rejected: Domain not found"),
    ("5.4.7", "550 5.4.7 Delivery expired, message timed out"),
    ("5.0.0", "550 5.0.0 Something else"),
]


def come_back(village: Village, why: Why, days: list[float]) -> None:
    """Send an issue on each day, counted from the one before, and let it come back."""
    for day in days:
        village.pass_days(day)
        village.issue()
        village.send_back(why=why)


def test_who_is_unknown_on_two_days_is_a_member_no_more(village: Village) -> None:
    village.enter(ADA, "ben@dpsk12.org")
    come_back(village, UNKNOWN, [0])
    assert village.members() == 2
    come_back(village, UNKNOWN, [7])
    assert village.members() == 1
    village.issue()
    assert len(village.copies()) == 2
    assert len(village.copies("ben@dpsk12.org")) == 3


@pytest.mark.parametrize(
    ("why", "days"),
    [
        (UNKNOWN, [0, 1]),
        (NO_DOMAIN, [0, 1.1]),
        (DISABLED, [0, 1, 1.1]),
        (FULL, [0, 8, 8, 8, 8]),
    ],
)
@on_sqlite
def test_each_reason_has_its_patience(why: Why, days: list[float], village: Village) -> None:
    village.enter(ADA)
    come_back(village, why, days[:-1])
    assert village.members() == 1
    come_back(village, why, days[-1:])
    assert village.members() == 0


@pytest.mark.parametrize(
    ("why", "days"),
    [
        (UNKNOWN, [0, 0.1, 0.1, 0.1]),
        (NO_DOMAIN, [0, 0.9]),
        (DISABLED, [0, 0.5, 0.5]),
        (FULL, [0, 2, 2, 2, 2, 2]),
    ],
)
@on_sqlite
def test_many_in_a_short_time_are_no_more_than_one(
    why: Why, days: list[float], village: Village
) -> None:
    village.enter(ADA)
    come_back(village, why, days)
    assert village.members() == 1


@on_sqlite
@pytest.mark.parametrize("why", NOT_TO_BLAME)
def test_what_is_not_the_addresss_fault_ends_no_membership(why: Why, village: Village) -> None:
    village.enter(ADA)
    come_back(village, why, [0, *[20] * 5])
    assert village.members() == 1


def test_a_mail_that_arrived_in_between_begins_the_count_anew(village: Village) -> None:
    village.enter(ADA)
    come_back(village, UNKNOWN, [0])
    village.pass_days(7)
    village.issue()
    come_back(village, UNKNOWN, [7])
    assert village.members() == 1
    come_back(village, UNKNOWN, [7])
    assert village.members() == 0


@on_sqlite
def test_of_two_mails_that_left_in_one_moment_each_may_come_back(village: Village) -> None:
    village.enter(ADA)
    for day in (0, 7):
        village.pass_days(day)
        village.issue()
        village.issue()
        village.at_one_moment()
        for copy in village.copies()[-2:]:
            village.take(copy.return_path, bounce(copy.return_path, ADA))
    assert village.members() == 0
    with village.services.reading.begin() as session:
        states = list(session.scalars(select(Delivery.state)))
    assert states == ["bounced"] * 4


def test_a_refusal_at_once_counts_as_one_that_comes_later(village: Village) -> None:
    village.enter(ADA)
    village.relay.always(f"RCPT {ADA}", "550 5.1.1 User unknown")
    issue = village.issue()
    assert village.books(issue) == {"recipients": 1, "bounced": 1}
    village.pass_days(7)
    village.issue()
    assert village.members() == 0


@on_sqlite
def test_what_fails_behind_a_mailbox_that_forwards_ends_no_membership(village: Village) -> None:
    """The member has got it, or not: but it is another address that does not exist."""
    village.enter(ADA)
    for day in (0, 7, 7):
        village.pass_days(day)
        issue = village.issue()
        path = village.copies()[-1].return_path
        village.take(path, bounce(path, "ada@elsewhere.example.org"))
        assert village.books(issue) == {"recipients": 1, "bounced": 1}
    assert village.members() == 1


@on_sqlite
def test_two_memberships_of_one_person_are_weighed_apart(village: Village) -> None:
    """What one person does in two groups meets nowhere: not even that they are unknown."""
    village.enter(ADA)
    village.enter(ADA, slug="asian")
    come_back(village, UNKNOWN, [0, 7])
    assert (village.members(), village.members("asian")) == (0, 1)
    village.issue("asian")
    assert village.copies()[-1].recipient == ADA


@on_sqlite
def test_who_was_lost_can_join_again_like_anybody(village: Village, visitor: Visitor) -> None:
    village.enter(ADA)
    come_back(village, UNKNOWN, [0, 7])
    visitor.join(VILLAGE, ADA)
    village.worker.drain()
    visitor.press(link_to(village.relay.to(ADA)[-1], "confirm"))
    village.worker.drain()
    assert village.members() == 1
    before = len(village.copies())
    village.issue()
    assert len(village.copies()) == before + 1


@on_sqlite
def test_the_membership_of_an_address_that_is_gone_is_forgotten_after_thirty_days(
    village: Village,
) -> None:
    village.enter(ADA)
    come_back(village, UNKNOWN, [0, 7])
    village.pass_days(29)
    assert village.purge() == 0
    village.pass_days(1.1)
    assert village.purge() == 1
