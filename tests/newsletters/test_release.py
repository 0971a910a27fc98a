"""A lead writes, tests, releases, undoes, pauses, goes on and reads what became of it."""

from datetime import timedelta

import pytest
import time_machine

from belong_mail.core.db import now
from belong_mail.members.counts import MemberCounts
from tests.browser_client import html_of, text_of
from tests.factories import make_members
from tests.newsletters.writing import act, write
from tests.markers import on_both


@on_both("journeys")
@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
def test_a_lead_writes_tests_and_releases(lead, services, keyring, worker, relay):
    with services.writing.begin() as session:
        make_members(session, keyring, 12)
        MemberCounts().go_on(session)
    page = write(lead)
    assert "about 10 members" in lead.open(f"{page}/release").text
    act(lead, page, "test")
    worker.drain()
    test = relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert test["Subject"] == "[Test] Tea on Friday"
    assert "Dear colleague" in text_of(test)

    assert lead.send(f"{page}/release", when="now", minutes="10").status_code == 303
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    assert "you can still undo it" in lead.open(f"{page}/sending").text

    with time_machine.travel(now() + timedelta(minutes=11), tick=True):
        worker.drain()
    [mail] = relay.to("member1@dpsk12.org")
    assert mail["Subject"] == "Tea on Friday"
    assert "<strong>tea</strong>" in html_of(mail)
    assert "Sent to about 10 members." in lead.open(f"{page}/sending").text
    [copy] = relay.to("dps-belong@example.org")
    assert copy["Subject"] == "Tea on Friday"


def test_an_issue_is_taken_back_while_there_is_time(lead, services, keyring, worker, relay):
    with services.writing.begin() as session:
        make_members(session, keyring, 2)
    page = write(lead)
    lead.send(f"{page}/release", when="now", minutes="1")
    act(lead, page, "undo")
    with time_machine.travel(now() + timedelta(minutes=5), tick=True):
        worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    assert "draft" in lead.open(f"{page}/sending").text


def test_a_lead_reads_that_an_issue_had_nobody_to_go_to(lead, worker):
    page = write(lead)
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 303
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        worker.drain()
    shown = lead.open(f"{page}/sending").text
    assert "The group had no members to send it to." in shown
