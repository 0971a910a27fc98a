"""Email that comes back again and again ends a membership; one bad hour ends none."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from tests.browser_client import link_to
from tests.factories import make_member
from tests.inbound.mail import (
    BROKEN_LIMIT,
    DISABLED,
    FULL,
    NO_DOMAIN,
    SPAM,
    UNKNOWN,
    bounce,
    forwarded,
)
from tests.inbound.scenario import ADA, VILLAGE, BounceScenario
from tests.markers import on_sqlite

PERSONAL = "ada@personal.example.com"
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


def come_back(scenario: BounceScenario, why: Why, days: list[float]) -> None:
    """Send an issue on each day, counted from the one before, and let it come back."""
    for day in days:
        scenario.pass_days(day)
        scenario.issue()
        scenario.send_back(why=why)


def test_who_is_unknown_on_two_days_is_a_member_no_more(scenario):
    scenario.enter(ADA, "ben@dpsk12.org")
    come_back(scenario, UNKNOWN, [0])
    assert scenario.members() == 2
    come_back(scenario, UNKNOWN, [7])
    assert scenario.members() == 1
    scenario.issue()
    assert len(scenario.copies()) == 2
    assert len(scenario.copies("ben@dpsk12.org")) == 3


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
def test_each_reason_has_its_patience(why, days, scenario):
    scenario.enter(ADA)
    come_back(scenario, why, days[:-1])
    assert scenario.members() == 1
    come_back(scenario, why, days[-1:])
    assert scenario.members() == 0


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
def test_many_in_a_short_time_are_no_more_than_one(why, days, scenario):
    scenario.enter(ADA)
    come_back(scenario, why, days)
    assert scenario.members() == 1


@on_sqlite
@pytest.mark.parametrize("why", NOT_TO_BLAME)
def test_what_is_not_the_addresss_fault_ends_no_membership(why, scenario):
    scenario.enter(ADA)
    come_back(scenario, why, [0, *[20] * 5])
    assert scenario.members() == 1


def test_a_mail_that_arrived_in_between_begins_the_count_anew(scenario):
    scenario.enter(ADA)
    come_back(scenario, UNKNOWN, [0])
    scenario.pass_days(7)
    scenario.issue()
    come_back(scenario, UNKNOWN, [7])
    assert scenario.members() == 1
    come_back(scenario, UNKNOWN, [7])
    assert scenario.members() == 0


@on_sqlite
def test_a_mail_that_left_late_counts_from_when_it_left(scenario):
    scenario.enter(ADA)
    for _ in range(2):
        scenario.issue()
    with scenario.services.writing.begin() as session:
        _late, second = session.scalars(select(Delivery).order_by(Delivery.id))
        second.finished_at -= timedelta(days=1)
    path = scenario.copies()[0].return_path
    scenario.take(path, bounce(path, ADA))
    come_back(scenario, UNKNOWN, [3])
    assert scenario.members() == 0


@on_sqlite
def test_of_two_mails_that_left_in_one_moment_each_may_come_back(scenario):
    scenario.enter(ADA)
    for day in (0, 7):
        scenario.pass_days(day)
        scenario.issue()
        scenario.issue()
        scenario.at_one_moment()
        for copy in scenario.copies()[-2:]:
            scenario.take(copy.return_path, bounce(copy.return_path, ADA))
    assert scenario.members() == 0
    with scenario.services.reading.begin() as session:
        states = list(session.scalars(select(Delivery.state)))
    assert states == ["bounced"] * 4


def test_a_refusal_at_once_counts_as_one_that_comes_later(scenario):
    scenario.enter(ADA)
    scenario.relay.always(f"RCPT {ADA}", "550 5.1.1 User unknown")
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": 1, "bounced": 1}
    scenario.pass_days(7)
    scenario.issue()
    assert scenario.members() == 0


@on_sqlite
def test_what_fails_behind_a_mailbox_that_forwards_ends_no_membership(scenario):
    """The member has got it, or not: but it is another address that does not exist."""
    scenario.enter(ADA)
    for day in (0, 7, 7):
        scenario.pass_days(day)
        issue = scenario.issue()
        path = scenario.copies()[-1].return_path
        scenario.take(path, bounce(path, "ada@elsewhere.example.org"))
        assert scenario.books(issue) == {"recipients": 1, "bounced": 1}
    assert scenario.members() == 1


@on_sqlite
@pytest.mark.parametrize(
    ("tried", "field", "left"),
    [
        ("ada@elsewhere.example.org", "", 1),
        ("ada@elsewhere.example.org", "X-Actual-Recipient", 1),
        ("ada@mail.dpsk12.org", "", 0),
        ("ada@dps.onmicrosoft.com", "", 0),
        ("ada@dpsk12.org.test-google-a.com", "X-Actual-Recipient", 0),
    ],
)
def test_the_address_that_was_tried_last_is_the_one_that_failed(scenario, tried, field, left):
    """A report names the member's address as well; within the district it is the member's own."""
    scenario.enter(ADA)
    for day in (0, 7):
        scenario.pass_days(day)
        scenario.issue()
        path = scenario.copies()[-1].return_path
        scenario.take(path, forwarded(path, ADA, tried, field))
    assert scenario.members() == left


@on_sqlite
@pytest.mark.parametrize("failed", [PERSONAL, "ada@elsewhere.example.org", "ada@dpsk12.org"])
def test_a_report_tells_no_domain_of_a_personal_address(scenario, failed):
    """Forged reports would try out providers, if their answers differed."""
    others = "grace@mailbox.example.net"
    with scenario.services.writing.begin() as session:
        for address in (PERSONAL, others):
            make_member(session, scenario.keyring, address)
    scenario.issue()
    for address in (PERSONAL, others):
        path = scenario.copies(address)[-1].return_path
        scenario.take(path, bounce(path, failed))
    reason = select(Delivery.state, Delivery.code, Delivery.enhanced, Delivery.phrase)
    with scenario.services.reading.begin() as session:
        assert len(set(session.execute(reason))) == 1


@on_sqlite
def test_two_memberships_of_one_person_are_weighed_apart(scenario):
    """One person's acts in two groups meet nowhere: not even that they are unknown."""
    scenario.enter(ADA)
    scenario.enter(ADA, slug="asian")
    come_back(scenario, UNKNOWN, [0, 7])
    assert (scenario.members(), scenario.members("asian")) == (0, 1)
    scenario.issue("asian")
    assert scenario.copies()[-1].recipient == ADA


@on_sqlite
def test_who_was_lost_can_join_again_like_anybody(scenario, visitor):
    scenario.enter(ADA)
    come_back(scenario, UNKNOWN, [0, 7])
    visitor.join(VILLAGE, ADA)
    scenario.worker.drain()
    visitor.follow(link_to(scenario.relay.to(ADA)[-1], "confirm"))
    scenario.worker.drain()
    assert scenario.members() == 1
    before = len(scenario.copies())
    scenario.issue()
    assert len(scenario.copies()) == before + 1


@on_sqlite
def test_the_membership_of_an_address_that_is_gone_is_forgotten_after_thirty_days(scenario):
    scenario.enter(ADA)
    come_back(scenario, UNKNOWN, [0, 7])
    scenario.pass_days(29)
    assert scenario.purge() == 0
    scenario.pass_days(1.1)
    assert scenario.purge() == 1
