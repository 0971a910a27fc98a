"""A group's shared mailbox: named by a lead, confirmed there and by that lead, told to all."""

from datetime import timedelta

import pytest
import time_machine

from belong_mail.accounts import invitations
from belong_mail.contact import service as contact
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.groups import mailbox as mailboxes
from belong_mail.leads.mailbox import asked_at
from tests.browser_client import html_of, link_to, text_of
from tests.db_dump import dump_of, trail
from tests.factories import group_named, make_member, queue_issue
from tests.newsletters.writing import begin

PAGE = "/lead/groups/the-village/page"
SUMMARY = {"summary_en": "Standing by our students."}
LEAD = "lead-of-the-village@dpsk12.org"
OTHER = "other-lead@dpsk12.org"
OLD, NEW = "before@dpsk12.org", "village-leads@dpsk12.org"
ADA = "ada@dpsk12.org"
WAITING = "waiting for the shared inbox and the leader"


def propose(lead, scenario, address: str = NEW) -> tuple[str, str]:
    """Name a mailbox and return the links: the mailbox's, and the lead's."""
    assert lead.send(PAGE, **SUMMARY, mailbox=address).status_code == 303
    of_mailbox, of_lead = scenario.mails(address)[-1], scenario.relay.to(LEAD)[-1]
    return link_to(of_mailbox, "confirm-mailbox"), link_to(of_lead, "confirm-mailbox")


def mailbox(scenario) -> str:
    with scenario.services.reading.begin() as session:
        return mailboxes.mailbox_of(scenario.keyring.opener, group_named(session, "the-village"))


@pytest.mark.parametrize("first", [0, 1], ids=["the mailbox first", "the lead first"])
def test_a_mailbox_is_used_when_it_and_the_lead_have_said_yes(lead, scenario, first):
    links = propose(lead, scenario)
    assert WAITING in lead.open(PAGE).text
    assert "Replies from members: to the office" in lead.open(PAGE).text
    assert "Use this inbox for the group?" in lead.open(links[0]).text
    for _ in range(3):
        assert "You’ve confirmed" in lead.follow(links[first]).text
        scenario.worker.drain()
    assert mailbox(scenario) == "", "one link pressed often is still one yes"
    assert WAITING in lead.open(PAGE).text
    lead.press(links[1 - first])
    scenario.worker.drain()
    assert mailbox(scenario) == NEW
    [confirmed] = trail(scenario.services, Kind.MAILBOX_CONFIRMED)
    assert confirmed.group_slug == "the-village"
    page = lead.open(PAGE).text
    assert "Replies from members: to your shared inbox" in page
    assert WAITING not in page
    assert "village-leads" not in page
    assert "village-leads" not in repr(dump_of(scenario.services))
    assert "the shared inbox of the group’s leaders" in lead.open(f"{begin(lead)}/preview").text


def test_leaders_and_the_old_mailbox_are_told_of_a_change_but_not_the_new_address(lead, scenario):
    with scenario.services.writing.begin() as session:
        group = group_named(session, "the-village")
        mailboxes.wrap_mailbox(scenario.keyring.opener, group, OLD)
        invitations.invite(session, scenario.keyring, group, OTHER)
    for link in propose(lead, scenario):
        assert scenario.relay.to(OLD) == []
        lead.press(link)
        scenario.worker.drain()
    for address in (OLD, OTHER, LEAD):
        told = scenario.relay.to(address)[-1]
        assert told["Subject"] == "A shared inbox was changed"
        assert "The Village" in text_of(told)
        assert "village-leads" not in text_of(told) + html_of(told)
    assert "Thank you" in text_of(scenario.relay.to(OLD)[0])
    assert "Thank you" not in text_of(scenario.relay.to(OTHER)[0])
    scenario.suppress(NEW)
    for _ in range(2):
        for link in propose(lead, scenario, OLD):
            lead.press(link)
            assert scenario.subjects(NEW) == ["Confirm a shared inbox"], (
                "nor is it told that wants no mail"
            )
    assert scenario.subjects(OLD).count("A shared inbox was changed") == 1, "named again, it stays"


def test_replies_and_messages_go_to_the_old_mailbox_until_then_and_to_the_new_one_after(
    lead, scenario
):
    with scenario.services.writing.begin() as session:
        mailboxes.wrap_mailbox(scenario.keyring.opener, group_named(session, "the-village"), OLD)
        make_member(session, scenario.keyring, ADA)
    links = propose(lead, scenario)
    for link, goes_to in ((None, OLD), (links[0], OLD), (links[1], NEW)):
        if link:
            lead.press(link)
            scenario.worker.drain()
        with time_machine.travel(now() + timedelta(minutes=1)):
            scenario.do(queue_issue)
            scenario.visitor.send(
                "/contact", to="the-village", topic="need", message="An interpreter."
            )
            scenario.worker.drain()
        assert scenario.relay.to(ADA)[-1]["Reply-To"] == goes_to
        assert "An interpreter." in text_of(scenario.relay.to(goes_to)[-1])


def test_a_lead_whose_own_address_is_the_mailbox_is_asked_once(lead, scenario):
    link, same = propose(lead, scenario, LEAD)
    assert link == same
    assert scenario.subjects(LEAD).count("Confirm a shared inbox") == 1
    lead.press(link)
    scenario.worker.drain()
    assert mailbox(scenario) == LEAD


def test_the_links_are_too_old_after_three_days_the_rows_go_and_no_inbox_is_filled(lead, scenario):
    for link in propose(lead, scenario):
        lead.press(link)
    with time_machine.travel(now() + timedelta(hours=72, minutes=2)):
        assert scenario.worker.read_jobs()
        assert mailbox(scenario) == "", "both were pressed, and are read too late"
        assert lead.press(link).status_code == 404
        with scenario.services.reading.begin() as session:
            assert asked_at(session, group_named(session, "the-village")) is None
    for _ in range(12):
        assert lead.send(PAGE, **SUMMARY, mailbox=NEW).status_code == 303
        scenario.worker.drain()
    assert len(scenario.relay.to(NEW)) == len(scenario.relay.to(LEAD)) == 10
    scenario.purge(timedelta(days=8))
    assert dump_of(scenario.services)["mailbox_changes"] == []


def test_another_proposal_and_removing_the_mailbox_end_the_one_that_waits(lead, scenario):
    earlier = propose(lead, scenario)
    later = propose(lead, scenario, OLD)
    assert [lead.press(link).status_code for link in earlier] == [404, 404]
    for link in later:
        lead.press(link)
    scenario.worker.drain()
    assert mailbox(scenario) == OLD
    [link, _] = propose(lead, scenario)
    lead.send(PAGE, **SUMMARY, without_mailbox="y")
    assert "Replies from members: to the office" in lead.open(PAGE).text
    assert lead.open(link).status_code == 404
    scenario.worker.drain()
    assert mailbox(scenario) == ""
    with scenario.services.reading.begin() as session:
        assert contact.addressees(session) == []


def test_a_proposal_that_is_taken_back_before_it_is_read_asks_nobody(lead, scenario):
    lead.send(PAGE, **SUMMARY, mailbox=NEW)
    lead.forge(PAGE, **SUMMARY, without_mailbox="y")
    assert scenario.subjects(NEW) == []


def test_the_page_tells_nobody_whether_an_address_wants_no_mail(lead, scenario):
    scenario.suppress(NEW)
    lead.send(PAGE, **SUMMARY, mailbox=NEW)
    scenario.worker.drain()
    assert WAITING in lead.open(PAGE).text
    assert scenario.relay.to(NEW) == []
