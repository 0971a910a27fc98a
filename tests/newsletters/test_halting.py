"""Pausing, going on and stopping act at once, and nobody gets an issue twice."""

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import delete, select, text

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery import claims, results
from belong_mail.delivery.dispatcher import IssuePaused
from belong_mail.delivery.models import Chunk, State
from belong_mail.groups.models import Group
from belong_mail.newsletters import release
from belong_mail.newsletters.jobs import FollowIssue
from belong_mail.newsletters.models import Newsletter
from tests.delivery.factories import books, deliveries, let_grow_stale
from tests.markers import on_both
from tests.scenario import drain_in

MEMBERS = 200


def start_issue(scenario, members: int) -> Newsletter:
    scenario.add_members(members)
    return scenario.queue_at_once()


def press(lead, issue, verb: str) -> int:
    page = f"/lead/newsletters/{issue.public_id}/{verb}"
    return lead.act(page).status_code


def test_a_pause_in_the_middle_of_an_issue_acts_within_two_seconds_and_going_on_sends_the_rest(
    lead, scenario
):
    """Two copies of each connection may be on their way; all others have waited too long then."""
    issue = start_issue(scenario, MEMBERS)
    already = len(scenario.relay.accepted)
    scenario.relay.delay = 0.02
    scenario.worker.engine._turn()
    while len(scenario.relay.accepted) < already + 10:
        scenario.worker.engine._drive(0)
    assert press(lead, issue, "pause") == 303
    let_grow_stale(scenario.worker)
    left = len(scenario.relay.accepted)
    scenario.worker.drain()
    assert len(scenario.relay.accepted) <= left + 10
    stands = lead.open(f"/lead/newsletters/{issue.public_id}/sending").text
    assert "Paused" in stands
    assert "Started " in stands
    assert "Sent on" not in stands

    assert lead.choose(stands, "Resume").status_code == 303
    drain_in(scenario.worker, seconds=3)
    assert books(scenario.services, issue.id)[State.ACCEPTED] == MEMBERS
    recipients = Counter(each.recipient for each in scenario.relay.accepted[already:])
    assert set(recipients.values()) == {1}


def test_an_issue_stopped_or_paused_before_any_email_left_went_to_nobody(lead, scenario):
    issue = start_issue(scenario, 40)
    for verb, said in (
        ("pause", "Not sent yet to about 40 members."),
        ("stop", "It wasn’t sent to about 40 members"),
    ):
        assert press(lead, issue, verb) == 303
        page = lead.open(f"/lead/newsletters/{issue.public_id}/sending").text
        assert "It wasn’t sent to anyone." in page
        assert said in page
        assert ("Stop for good" in page) == (verb == "pause")
        scenario.worker.drain()
        assert scenario.worker.waiting() == {}


@on_both("claims")
@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_pause_or_a_stop_acts_by_its_mark_before_the_worker_reads_of_it(verb, lead, scenario):
    issue = start_issue(scenario, 40)
    already = len(scenario.relay.accepted)
    assert press(lead, issue, verb) == 303
    scenario.execute(delete(Job))
    scenario.worker.drain()
    assert len(scenario.relay.accepted) == already


def test_a_paused_issue_is_not_even_read_ahead(scenario):
    issue = start_issue(scenario, 3)
    with scenario.services.writing.begin() as session:
        found = session.get_one(Newsletter, issue.id)
        release.act(session, found, release.pause)
        found.paused_at = None  # as the web alone may write
    scenario.worker.drain()
    assert scenario.relay.accepted == []
    assert scenario.query(select(Chunk.inserted)) == [None]


@pytest.mark.parametrize("mark", ["newsletters SET stopped_at", "groups SET ends_at"])
def test_a_mark_of_a_moment_loses_no_copy_that_a_server_put_off(mark, scenario):
    scenario.relay.script("RCPT", "451 4.2.1 Not now")
    start_issue(scenario, 1)
    scenario.worker.drain()
    with time_machine.travel(now() + timedelta(hours=1)):
        for value in ("'2020-01-01'", "NULL"):
            scenario.execute(text(f"UPDATE {mark} = {value}"))
            scenario.worker.engine.work()
            scenario.worker.engine.finish()
    drain_in(scenario.worker, hours=2)
    assert len(scenario.relay.accepted) == 1


def test_no_job_of_the_web_makes_copies_due_that_no_pause_holds(scenario):
    """Whoever holds the web may ask again and again: what a server put off waits as it did."""
    scenario.relay.always("RCPT member1@dpsk12.org", "451 4.2.1 Not now")
    issue = start_issue(scenario, 2)
    scenario.worker.drain()
    before = [(each.state, each.due_at, each.created_at) for each in deliveries(scenario.services)]
    assert State.DEFERRED in {state for state, _, _ in before}
    with time_machine.travel(now() + timedelta(minutes=1), tick=False):
        scenario.seal(FollowIssue(issue.public_id))
        scenario.worker.drain()
    assert [
        (each.state, each.due_at, each.created_at) for each in deliveries(scenario.services)
    ] == before


@on_both("locks")
@pytest.mark.parametrize("verb", [release.pause, release.stop])
def test_a_copy_that_was_claimed_before_a_pause_or_a_stop_is_not_written_after_it(verb, scenario):
    mailer = scenario.worker._issue_mailer
    issue = start_issue(scenario, 2)
    with scenario.services.writing.begin() as session:
        claimed = claims.claim_chunk(session, "elsewhere", mailer, 100) or []
        ids = [number for number, _ in claimed]
    assert len(ids) == 2
    with scenario.services.writing.begin() as session:
        assert [write().recipient for _, write in mailer.read(session, ids)] != []
        release.act(session, session.get_one(Newsletter, issue.id), verb)
    with scenario.services.writing.begin() as session:
        for _, write in mailer.read(session, ids):
            with pytest.raises(IssuePaused):
                write()


@pytest.mark.parametrize("way", ["page", "command", "end of the group"])
def test_copies_that_are_in_hand_at_a_stop_are_withdrawn_once_they_come_back(
    way, lead, cli, scenario
):
    issue = start_issue(scenario, 2)
    with scenario.services.writing.begin() as session:
        ids = [
            one
            for one, _ in claims.claim_chunk(session, "other", scenario.worker._issue_mailer, 9)
            or []
        ]
    if way == "page":
        assert press(lead, issue, "stop") == 303
    elif way == "command":
        assert cli.invoke(args=["newsletter", "stop", issue.public_id]).exit_code == 0
    else:
        with scenario.services.writing.begin() as session:
            group = session.get_one(Group, issue.group_id)
            group.ends_at = group.announced_end = group.announced_at = now()
            release.retire(session, group)
    scenario.worker.read_jobs()
    scenario.do(results._give_back, "other", ids, now())
    drain_in(scenario.worker, minutes=1)
    assert books(scenario.services, issue.id)[State.WITHDRAWN] == len(ids) == 2
    assert scenario.relay.accepted == []
    assert scenario.worker.waiting() == {}
