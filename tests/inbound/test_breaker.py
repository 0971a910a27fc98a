"""When very many addresses are said not to exist at once, it is the mail system that errs."""

from datetime import timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.inbound import bounces
from belong_mail.members.models import Subscription
from belong_mail.worker.loop import Worker
from tests.browser_client import link_to
from tests.database import query
from tests.factories import queue_at_once
from tests.inbound.mail import NO_DOMAIN, SPAM, UNKNOWN, bounce
from tests.inbound.scenario import ADA, VILLAGE
from tests.markers import on_both, on_sqlite
from tests.servers.smtp import Accepted

MANY = 100
OPERATOR = "operator@example.org"
ALARM = pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": OPERATOR}])


def refuse_all(scenario, *days: float) -> None:
    """Send an issue on each day while the directory of the mail system is out of order."""
    for day in days or (0,):
        scenario.pass_days(day)
        scenario.relay.always("RCPT", "550 5.1.1 User unknown")
        scenario.issue()
        scenario.relay.usual()


def forge(scenario, copies: list[Accepted]) -> None:
    """Report each copy, as its reader can, and who signs return paths."""
    for each in copies:
        scenario.take(each.return_path, bounce(each.return_path, "nobody@dpsk12.org"))


def told(scenario) -> list[EmailMessage]:
    """Let a new worker look, and return what the operator has heard."""
    worker = Worker(scenario.services, scenario.keyring)
    worker.drain()
    worker.engine.close()
    return scenario.relay.to(OPERATOR)


def is_ignoring(scenario) -> bool:
    with scenario.services.reading.begin() as session:
        return bounces.breaker_until(session, now()) is not None


def accept(scenario) -> int:
    with scenario.services.writing.begin() as session:
        return bounces.override_breaker(session)


def bring_back(scenario, since: timedelta) -> None:
    with scenario.services.writing.begin() as session:
        bounces.restore(bounces.bounced_members(session, now() - since))


def test_a_hundred_unknown_at_once_are_not_believed(scenario, caplog):
    """On neither of two days, and of those within the hour nobody is lost either."""
    scenario.add_many(MANY)
    refuse_all(scenario, 0, 1)
    assert scenario.members() == MANY
    logged = [each for each in caplog.messages if "said not to exist" in each]
    assert len(logged) == 2, "once a day"
    assert query(scenario.services, bounces.IS_ALARMING)[0]
    scenario.pass_days(1)
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": MANY, "accepted": MANY}


@on_sqlite
@pytest.mark.parametrize("why", [UNKNOWN, NO_DOMAIN], ids=["address", "domain"])
def test_reports_that_come_later_are_counted_in_the_same_way(why, scenario):
    scenario.add_many(30)
    for day in (0, 1.1, 0):
        scenario.pass_days(day)
        scenario.issue()
        for number in range(30):
            scenario.send_back(f"member{number}@dpsk12.org", why)
    assert scenario.members() == 30


@on_sqlite
def test_a_flood_is_over_two_hours_after_its_end(scenario):
    scenario.add_many(MANY)
    refuse_all(scenario)
    scenario.pass_days(1.5 / 24)
    assert is_ignoring(scenario)
    scenario.pass_days(0.6 / 24)
    assert not is_ignoring(scenario)


@on_sqlite
def test_a_usual_number_is_believed(scenario):
    scenario.add_many(19)
    refuse_all(scenario, 0, 1)
    assert scenario.members() == 0


@on_sqlite
def test_one_readers_reports_open_no_breaker(scenario):
    """Anyone can make their own emails count as come back."""
    scenario.add(ADA, "ben@dpsk12.org")
    for _ in range(20):
        scenario.issue()
    forge(scenario, scenario.copies())
    assert not is_ignoring(scenario)
    scenario.come_back(0, 1, address="ben@dpsk12.org")
    assert scenario.members() == 1


@on_sqlite
def test_addresses_that_visitors_made_up_open_no_breaker(scenario, visitor):
    scenario.relay.always("RCPT", "550 5.1.1 User unknown")
    for number in range(20):
        assert visitor.join(VILLAGE, f"nobody{number}@dpsk12.org").status_code == 303
    scenario.worker.drain()
    assert not is_ignoring(scenario)


@on_sqlite
def test_members_lost_hours_before_are_not_brought_back(scenario):
    scenario.add(ADA)
    scenario.come_back(0, 1)
    scenario.pass_days(0.1)
    scenario.add_many(MANY)
    refuse_all(scenario)
    assert scenario.members() == MANY


@pytest.mark.parametrize(("comes_again", "ended"), [(False, 30), (True, 0)])
def test_the_office_says_that_they_do_not_exist(scenario, ended, *, comes_again):
    """After a summer many colleagues have gone at once; who has had mail since has not."""
    scenario.add_many(30)
    refuse_all(scenario, 0, 1)
    if comes_again:
        scenario.issue()
    assert is_ignoring(scenario)
    scenario.pass_days(30)
    assert accept(scenario) == ended
    assert scenario.members() == 30 - ended
    assert not is_ignoring(scenario)


@ALARM
@on_sqlite
@pytest.mark.parametrize(
    ("to", "why", "heard"),
    [(ADA, UNKNOWN, False), ("ada@elsewhere.example.org", SPAM, False), (ADA, SPAM, True)],
    ids=["has gone", "forwards to where we are not liked", "because of us"],
)
def test_the_operator_hears_that_mail_comes_back_because_of_us_and_of_no_other(
    to, why, heard, scenario, caplog
):
    _, path = scenario.one_copy()
    scenario.take(path, bounce(path, to, why))
    alarm = "More emails bounce than usual, or they bounce because of our setup"
    assert [mail["Subject"] for mail in told(scenario)] == [alarm] * heard
    assert ("spam or reputation" in caplog.text) == heard
    assert "dpsk12.org" not in caplog.text


@on_both("times")
def test_the_office_undoes_what_happened_since_a_time(scenario):
    scenario.add(ADA, "ben@dpsk12.org", "cleo@dpsk12.org")
    for day in (0, 1):
        scenario.pass_days(day)
        scenario.issue()
        for address in (ADA, "cleo@dpsk12.org"):
            scenario.send_back(address)
    assert scenario.members() == 1
    bring_back(scenario, -timedelta(hours=1))
    assert scenario.members() == 1
    bring_back(scenario, timedelta(hours=1))
    assert scenario.members() == 3
    assert set(query(scenario.services, select(Subscription.is_unreachable))) == {False}


def test_a_member_brought_back_while_an_issue_waits_is_not_in_it(scenario):
    """It was planned without them, and its books must stay right; the next one comes."""
    scenario.add("ada0@dpsk12.org", ADA, "ben@dpsk12.org")
    scenario.come_back(0, 1)
    with scenario.services.writing.begin() as session:
        issue = queue_at_once(scenario.worker, session).id
    bring_back(scenario, timedelta(days=1))
    assert scenario.members() == 3
    scenario.worker.drain()
    assert scenario.books(issue) == {"recipients": 2, "accepted": 2}
    assert scenario.books(scenario.issue()) == {"recipients": 3, "accepted": 3}


@on_sqlite
def test_a_member_who_left_is_not_brought_back_by_the_office(scenario, visitor):
    scenario.add(ADA)
    scenario.come_back(0, 1)
    assert scenario.members() == 0
    visitor.follow(link_to(scenario.copies()[0].message, "leave"))
    bring_back(scenario, timedelta(days=1))
    assert scenario.members() == 0
