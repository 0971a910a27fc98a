"""Leaders and office hear of newsletters and mailboxes, whatever the web writes."""

from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.rate_limits import ASKED_OF_LEADERS_RATE, HELD_RATE
from belong_mail.delivery.models import Delivery
from belong_mail.groups import mailbox
from belong_mail.leads.jobs import ProposeMailbox
from belong_mail.members.models import Subscription
from belong_mail.newsletters import approval
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.jobs import AskForApproval, FollowIssue, SendTestCopies
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.tasks import DUE_AT_ONCE
from tests.browser_client import link_to, text_of
from tests.delivery.factories import books, queue
from tests.factories import group_named
from tests.markers import periodic_tasks
from tests.privacy.silencing import NOT_ACCEPTED, SILENCERS, by_the_role, ids, silence
from tests.scenario import VILLAGE

LEAD, OTHER = "lead@dpsk12.org", "other@dpsk12.org"
OLD, NEW = "before@dpsk12.org", "leaders@dpsk12.org"
OTHER_WORDS = """UPDATE newsletters SET subject = '{"en": "Cake"}', text = '{"en": "No tea."}'"""


def begin(scenario, subject: str = "Tea", due_at: datetime | None = None) -> str:
    """Write an issue of a group with two leaders; return its public id."""
    for address in (LEAD, OTHER):
        scenario.invite_lead(address)
    with scenario.services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, VILLAGE), subject, "Come.")
        issue.due_at = due_at
        return issue.public_id


def told(scenario) -> list[tuple[str, str]]:
    scenario.worker.drain()
    return sorted((each.recipient, each.message["Subject"]) for each in scenario.relay.accepted)


@pytest.mark.parametrize(
    ("statement", "is_decided"),
    [
        (NOT_ACCEPTED, False),
        (NOT_ACCEPTED, True),
        (SILENCERS["the group"], True),
        ("UPDATE newsletters SET held_at = NULL", True),
    ],
)
@by_the_role
def test_leaders_are_told_that_a_newsletter_is_held_whatever_marks_the_web_sets(
    statement, is_decided, scenario
):
    """Not before the worker finds it, nor after: it may be one that the web tried to send."""
    begin(scenario, "The Village meets", due_at=now())
    if is_decided:
        scenario.worker._queue_due()
    silence(scenario, statement)
    subject = "Your newsletter wasn’t sent. What would you like to do?"
    assert told(scenario) == [(LEAD, subject), (OTHER, subject)]


@pytest.mark.parametrize("what", ["asked", "tested", "stopped"])
@by_the_role
def test_leaders_are_told_of_others_acts_on_a_newsletter_whatever_marks_the_web_sets(
    what, scenario
):
    issue = begin(scenario)
    by, _ = ids(scenario, LEAD)
    with scenario.services.writing.begin() as session:
        found = session.query(Newsletter).one()
        if what == "asked":
            approval.ask(session, found, session.get_one(Account, 1), None, 10)
        elif what == "stopped":
            found.queued_at = found.stopped_at = now()
    wanted, subject = {
        "asked": (AskForApproval(issue), "A newsletter is waiting for your OK"),
        "tested": (SendTestCopies(issue, [ids(scenario, OTHER)[0]]), "[Test] Tea"),
        "stopped": (FollowIssue(issue, by, "stopped"), "The Belong office stopped your newsletter"),
    }[what]
    scenario.seal(wanted)
    silence(scenario, NOT_ACCEPTED)
    assert told(scenario) == [(OTHER, subject)]


@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
@pytest.mark.parametrize("statement", [SILENCERS["the group"], OTHER_WORDS])
@by_the_role
def test_the_office_gets_the_words_that_were_queued_whatever_the_web_writes(statement, scenario):
    scenario.queue_at_once(VILLAGE, "Tea", "Come to tea.")
    silence(scenario, statement)
    [copy] = scenario.mails("dps-belong@example.org")
    assert copy["Subject"] == "Tea"
    assert "Come to tea." in text_of(copy)


def test_an_email_about_an_office_act_is_stored_with_a_short_subject_only(scenario):
    """An intruder in the web can write one of megabytes, and have it stored for each leader."""
    issue = begin(scenario, "T" * 200)
    with scenario.services.writing.begin() as session:
        found = session.query(Newsletter).one()
        found.queued_at = found.stopped_at = now()
        found.subject = {"en": "T" * 100_000}
    scenario.seal(FollowIssue(issue, ids(scenario, LEAD)[0], "stopped"))
    scenario.worker.read_jobs()
    [kept] = scenario.query(select(Delivery.sealed_arguments))
    assert len(kept or b"") < 2000
    assert told(scenario) == [(OTHER, "The Belong office stopped your newsletter")]


@pytest.mark.parametrize("is_decided", [False, True])
@by_the_role
def test_leaders_are_told_that_their_mailbox_changes_whatever_marks_the_web_sets(
    is_decided, scenario
):
    begin(scenario)
    by, group = ids(scenario, LEAD)
    with scenario.services.writing.begin() as session:
        mailbox.wrap_mailbox(scenario.keyring.opener, group_named(session, VILLAGE), OLD)
    scenario.seal(ProposeMailbox(group, by, NEW, "en"))
    links = [link_to(scenario.mails(each)[-1], "confirm-mailbox") for each in (NEW, LEAD)]
    for link in links:
        scenario.visitor.press(link)
    del scenario.relay.accepted[:]
    # The leader who named it must still be one; the others need no mark.
    others = f"{NOT_ACCEPTED} WHERE account_id > 1"
    if is_decided:
        scenario.worker.read_jobs()
    silence(scenario, NOT_ACCEPTED if is_decided else others)
    subject = "A shared inbox was changed"
    assert told(scenario) == sorted((each, subject) for each in (LEAD, OTHER, OLD))


def test_a_removed_leader_gets_no_test_copy_that_was_still_waiting(scenario):
    """Whose mailbox was full has the test copy wait for hours, and it shows the draft as it is."""
    issue = begin(scenario)
    other, _ = ids(scenario, OTHER)
    scenario.relay.always("RCPT", "452 4.2.2 Mailbox full")
    scenario.seal(SendTestCopies(issue, [other]))
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        village = group_named(session, VILLAGE)
        assert invitations.remove(session, scenario.keyring.index, village, OTHER)
    scenario.relay.usual()
    with time_machine.travel(now() + timedelta(hours=6)):
        assert told(scenario) == []


@by_the_role
def test_the_web_has_leaders_asked_and_the_trail_written_a_few_times_an_hour_alone(scenario):
    """It may make an issue due again and again, of which the worker holds each."""
    begin(scenario, "The Village meets", due_at=now())
    for _ in range(2 * HELD_RATE.burst):
        scenario.worker.drain()
        silence(scenario, "UPDATE newsletters SET due_at = '2020-01-01', held_at = NULL")
    with scenario.services.reading.begin() as session:
        held = select(func.count()).where(audit.AuditEntry.kind == audit.Kind.HELD)
        assert session.scalar(held) == HELD_RATE.burst
    assert len(told(scenario)) == 2 * HELD_RATE.burst


def test_leaders_are_asked_once_while_the_first_question_waits(scenario):
    begin(scenario, "The Village meets", due_at=now())
    scenario.relay.always("RCPT", "452 4.2.2 Mailbox full")
    for _ in range(2):
        scenario.worker.drain()
        scenario.execute(update(Newsletter).values(due_at=now(), held_at=None))
    scenario.relay.usual()
    with time_machine.travel(now() + timedelta(hours=6)):
        assert len(told(scenario)) == 2


def test_only_a_few_newsletters_that_the_web_makes_due_are_checked_between_emails(scenario):
    """And a leader is emailed about them so often alone."""
    issue = begin(scenario)
    reader, _ = ids(scenario, OTHER)
    for _ in range(ASKED_OF_LEADERS_RATE.burst + 5):
        scenario.seal(SendTestCopies(issue, [reader]))
    assert len(told(scenario)) == ASKED_OF_LEADERS_RATE.burst
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        for _ in range(2 * DUE_AT_ONCE):
            newsletters.draft(session, group, "The Village meets", "Tea.").due_at = now()
    held = select(func.count()).where(Newsletter.held_at.is_not(None))
    for expected in (DUE_AT_ONCE, 2 * DUE_AT_ONCE):
        scenario.worker._queue_due()
        assert scenario.query(held) == [expected]


@periodic_tasks
@by_the_role
def test_marks_that_pause_and_resume_again_and_again_send_nothing_twice_and_lose_nothing(scenario):
    """No one is emailed about it, and the worker writes nothing of it into the trail."""
    scenario.invite_lead(LEAD)
    number = queue(scenario.services, 3)
    with scenario.services.reading.begin() as session:
        issue = session.get_one(Newsletter, number).public_id
    scenario.relay.script("RCPT", "451 4.3.0 Later")
    marks = (
        "UPDATE newsletters SET paused_at = '2020-01-01'",
        "UPDATE newsletters SET paused_at = NULL, resumed_at = '2020-01-01'",
    )
    for minute in range(10):
        with time_machine.travel(now() + timedelta(minutes=minute)):
            for mark in marks:
                silence(scenario, mark)
                scenario.worker.step()
                scenario.seal(FollowIssue(issue))
                scenario.worker.drain()
    assert books(scenario.services, number) == {"recipients": 3, "accepted": 3}
    got = sorted(each.recipient for each in scenario.relay.accepted)
    assert got == [f"member{each}@dpsk12.org" for each in range(3)]
    assert scenario.query(select(audit.AuditEntry.kind)) == [audit.Kind.RELEASED]


@by_the_role
def test_a_member_whom_the_web_confirms_or_pauses_for_years_gets_the_next_newsletter(scenario):
    """No page writes such a time, and no one would notice it after a break-in."""
    for address in (LEAD, OTHER, NEW):
        scenario.add_member(address)
    in_years = now() + timedelta(days=9000)
    for address, values in (
        (LEAD, {"confirmed_at": in_years}),
        (OTHER, {"paused_until": in_years}),
        (NEW, {"paused_until": now() + timedelta(days=365)}),
    ):
        of_member = Subscription.id == scenario.subscription(address).id
        scenario.execute(update(Subscription).where(of_member).values(values))
    scenario.queue_at_once(VILLAGE, "Tea", "Come to tea.")
    assert told(scenario) == [(LEAD, "Tea"), (OTHER, "Tea")]
