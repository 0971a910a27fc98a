"""An issue that servers refuse for what is not its recipients' fault."""

import pytest

from belong_mail.inbound import bounces
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from tests.database import query
from tests.markers import on_sqlite

MANY = 300
REFUSALS = pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("RCPT", "554 5.7.1 Client host rejected: Access denied"),
        ("DOT", "550 5.7.26 This mail is unauthenticated, SPF and DKIM did not pass"),
        ("DOT", "554 5.6.0 Message content rejected"),
        ("MAIL", "552 5.3.4 Message size exceeds fixed limit"),
    ],
    ids=["host", "SPF", "content", "size"],
)


def go_on(scenario, issue: int) -> None:
    with scenario.services.writing.begin() as session:
        found = session.get_one(Newsletter, issue)
        assert found.is_refused
        release.act(session, found, release.resume)
        assert not found.is_refused
    scenario.worker.drain()


@REFUSALS
def test_an_issue_that_everybody_refuses_is_paused_and_nobody_loses_it(scenario, verb, reply):
    scenario.add_many(MANY)
    scenario.relay.always(verb, reply)
    issue = scenario.issue()
    books = scenario.books(issue)
    assert books["recipients"] == books["queued"] + books["deferred"] == MANY
    asked = [each for each in scenario.relay.commands if each.startswith("MAIL")]
    assert len(asked) < 110, "what was in hand, and no more"
    assert query(scenario.services, bounces.IS_ALARMING)[0]
    scenario.relay.usual()
    go_on(scenario, issue)
    assert scenario.books(issue) == {"recipients": MANY, "accepted": MANY}


@on_sqlite
def test_an_issue_resumed_too_early_ends_and_fails_only_where_it_is_refused_twice(scenario):
    scenario.add_many(20)
    scenario.relay.always("RCPT", "554 5.7.1 Client host rejected: Access denied")
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": 20, "deferred": 20}
    go_on(scenario, issue)
    assert scenario.books(issue) == {"recipients": 20, "failed": 20}


@on_sqlite
@pytest.mark.parametrize(("members", "refusals"), [(MANY, 4), (3, 1)])
def test_a_few_who_refuse_it_hold_up_nobody(scenario, members, refusals):
    scenario.add_many(members)
    for number in range(refusals):
        scenario.relay.always(f"RCPT member{number}@dpsk12.org", "554 5.7.1 Access denied")
    expected = {"recipients": members, "accepted": members - refusals, "failed": refusals}
    assert scenario.books(scenario.issue()) == expected


@on_sqlite
@pytest.mark.parametrize(("members", "refusals"), [(1, 1), (2, 1), (4, 4), (4, 2), (9, 5)])
def test_a_small_issue_that_half_refuse_is_paused_and_nobody_loses_it(scenario, members, refusals):
    scenario.add_many(members)
    for number in range(refusals):
        scenario.relay.always(
            f"RCPT member{number}@dpsk12.org", "554 5.7.1 Message refused as spam"
        )
    issue = scenario.issue()
    books = scenario.books(issue)
    assert books["deferred"] >= refusals
    assert sum(books.get(each, 0) for each in ("accepted", "deferred", "queued")) == members
    scenario.relay.usual()
    go_on(scenario, issue)
    assert scenario.books(issue) == {"recipients": members, "accepted": members}


@on_sqlite
def test_many_whose_own_address_fails_are_no_reason_to_pause(scenario):
    scenario.add_many(20)
    scenario.relay.always("RCPT", "550 5.2.1 The account is disabled")
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": 20, "failed": 20}
