"""A second leader's approval: two accounts stand behind exactly the words that go out."""

import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskCliRunner
from sqlalchemy import select, text, update

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Right
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.newsletters import approval
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Approval, Flyer, Image, Newsletter
from tests.browser_client import Form, Visitor, html_of, text_of
from tests.clients import sign_in
from tests.db_dump import trail
from tests.factories import change_group, group_named
from tests.markers import on_both
from tests.newsletters.writing import act, begin, write
from tests.scenario import Scenario

LEAD, SECOND = "lead-of-the-village@dpsk12.org", "second@dpsk12.org"
MEMBER = "member0@dpsk12.org"
SUBJECT = "A newsletter is waiting for your OK"


def seen_by(lead, page: str) -> str:
    """Return what names the words on the page on which they are approved."""
    return lead.open(f"{page}/approve").text.partition('name="seen" value="')[2].partition('"')[0]


@dataclass(frozen=True)
class Room(Scenario):
    lead: Visitor
    second: Visitor

    def asked_for(self, **words: str) -> str:
        """Write a newsletter and ask for the approval of the other leader; return its page."""
        page = write(self.lead, **words)
        answer = self.lead.send(f"{page}/release", when="10")
        assert answer.status_code == 303
        assert answer.location == f"{page}/approve"
        self.worker.drain()
        return page

    def approve(
        self, page: str, who: Visitor | None = None, seen: str = "", status: int = 303
    ) -> None:
        who = who or self.second
        given = seen or seen_by(who, page)
        assert who.act(f"{page}/approve", seen=given).status_code == status

    def is_sent(self) -> bool:
        with time_machine.travel(now() + timedelta(minutes=12), tick=True):
            return any("Tea" in str(mail["Subject"]) for mail in self.mails(MEMBER))


@pytest.fixture
def room(lead, app, scenario) -> Room:
    second = sign_in(app, scenario.keyring, "the-village", SECOND)
    scenario.add_members(1)
    scenario.do(change_group, "the-village", approval_rule="always")
    return Room(**vars(scenario), lead=lead, second=second)


@on_both("journeys")
def test_a_newsletter_goes_out_once_another_leader_has_approved_it(room):
    page = room.asked_for()
    assert room.subjects(SECOND).count(SUBJECT) == 1
    assert SUBJECT not in room.subjects(LEAD)
    asked = room.relay.to(SECOND)[-1]
    assert "The Village Belong Group" in text_of(asked)
    assert "Tea on Friday" not in text_of(asked) + html_of(asked)
    assert "Waiting for a second OK" in room.lead.open("/lead/").text
    assert "Waiting for a second OK" not in room.second.open("/lead/").text
    assert "Needs your OK" in room.second.open("/lead/").text
    for each in (room.lead, room.second):
        assert f'{page}/approve"' in each.open("/lead/").text
    assert f"{page}/approve" in text_of(asked)
    read = room.second.open(f"{page}/approve").text
    assert "come to <strong>tea</strong>" in read
    assert "wants to send this newsletter to The Village Belong Group." in read
    assert not room.is_sent()
    assert "asked to approve these words" in room.lead.open(page).text
    room.lead.send(page)  # the same words, saved again
    room.approve(page)
    assert "you can cancel it" in room.second.open(f"{page}/sending").text
    assert room.is_sent()
    assert "Tea on Friday" not in room.subjects("dps-belong@example.org"), "no copy by default"
    shown = room.lead.open(f"{page}/read").text
    assert "You sent it." in shown
    assert "A second leader approved it." in shown
    asking, approving = trail(room.services, Kind.APPROVAL_ASKED, Kind.APPROVED)
    assert (asking.kind, approving.kind) == (Kind.APPROVAL_ASKED, Kind.APPROVED)
    assert asking.actor != approving.actor


def test_nobody_approves_their_own_newsletter_or_fills_an_inbox_by_asking(room):
    page = room.asked_for()
    with room.services.reading.begin() as session:
        seen = session.scalars(select(Approval)).one().digest.hex()
    assert "Approve and send" not in room.lead.open(f"{page}/approve").text
    for each in (room.lead, room.second):
        assert each.open(f"{page}/release").location == f"{page}/approve"
    room.approve(page, room.lead, seen, 409)
    for _ in range(8):
        assert room.lead.act(f"{page}/release", when="1").location.endswith("/approve")
    assert not room.is_sent()
    assert room.subjects(SECOND).count(SUBJECT) == 6
    room.approve(page)
    assert room.is_sent()


def test_an_approval_covers_everything_that_a_reader_sees(session):
    """The group's name stands where the words say so."""
    issue = newsletters.draft(session, group_named(session, "the-village"), "Tea", "Come.")
    image = Image(newsletter_id=issue.id, description="", media_type="", content=b"")
    flyer = Flyer(newsletter_id=issue.id, title="", content=b"", size=0, pages=1, is_tagged=True)
    image.width = image.height = 1
    session.add_all([image, flyer])
    changes = (
        *((issue, column, {"en": "x"}) for column in ("subject", "preheader", "text")),
        *((image, column, "x") for column in ("description", "media_type")),
        (issue.group, "name", "x"), (flyer, "title", "x"), (flyer, "content", b"x"),
        (image, "width", 2), (image, "height", 2), (image, "content", b"x"),
    )  # fmt: skip
    digests = {approval.digest(issue)}
    for row, column, value in changes:
        setattr(row, column, value)
        session.flush()
        digests.add(approval.digest(issue))
    assert len(digests) == 1 + len(changes)
    # Files count as they were when the message was built: the web may delete a row meanwhile.
    session.execute(text("DELETE FROM flyers"))
    assert approval.digest(issue) in digests
    session.expire(issue)
    assert approval.digest(issue) not in digests


@pytest.mark.parametrize("change", ["words", "seen", "late", "withdrawn"])
def test_only_exactly_what_was_asked_for_is_approved(room, change):
    page = room.asked_for()
    seen, wait = seen_by(room.second, page), timedelta(0)
    if change == "words":
        room.lead.send(page, text="Other words.")
    elif change == "seen":
        seen = "0" * 64
    elif change == "late":
        wait = timedelta(days=7, minutes=1)
    else:
        act(room.lead, page, "decline")
    room.execute(update(Approval).values(asked_at=now() - wait))
    room.approve(page, seen=seen, status=409)
    if change != "seen":
        assert "No one is asking for your OK." in room.second.act(f"{page}/approve", seen=seen).text
        gone = room.second.open(f"{page}/approve").text
        assert "No one is asking for your OK." in gone
        assert f'<a href="{page}">Go to the newsletter</a>' in gone
        assert "Waiting for a second OK" not in room.lead.open("/lead/").text
    assert not room.is_sent()


def test_the_leader_who_asked_hears_that_another_declined(room):
    page = room.asked_for()
    told = room.second.act(f"{page}/decline")
    assert "Not approved. It’s a draft again" in room.second.open(told.location).text
    declined = "Your newsletter wasn’t sent. What would you like to do?"
    assert room.subjects(LEAD).count(declined) == 1
    assert "didn’t approve the newsletter" in text_of(room.relay.to(LEAD)[-1])
    room.lead.send(f"{page}/release", when="1")
    act(room.lead, page, "decline")
    assert room.subjects(LEAD).count(declined) == 1, "who withdraws a request knows"
    assert declined not in room.subjects(SECOND)


def test_an_approval_after_the_time_leaves_time_to_undo_which_voids_it(room):
    page = write(room.lead)
    at = (now() + timedelta(days=1)).astimezone(room.services.settings.timezone)
    room.lead.send(f"{page}/release", when="later", at=f"{at:%Y-%m-%dT%H:%M}")
    room.execute(update(Approval).values(due_at=now() - timedelta(hours=3)))
    room.approve(page)
    room.worker.drain()
    [due_at] = room.query(select(Newsletter.due_at))
    assert timedelta(minutes=9) < due_at - now() <= timedelta(minutes=10)
    act(room.lead, page, "undo")
    answer = room.lead.send(f"{page}/release", when="later", at=f"{at:%Y-%m-%dT%H:%M}")
    assert answer.location.endswith("/approve")
    assert not room.is_sent()
    room.approve(page)
    [due_at] = room.query(select(Newsletter.due_at))
    assert due_at == at.replace(second=0, microsecond=0), "one in time keeps to it"


def test_the_worker_holds_what_the_rows_alone_release(room):
    """Somebody broke into the web, and wrote that the issue is due."""
    page = write(room.lead)
    room.execute(update(Newsletter).values(due_at=now(), released_by=1))
    room.worker.drain()
    assert not room.is_sent()
    shown = room.lead.open(f"{page}/sending").text
    assert "It needs a second leader’s OK" in shown
    assert "the site was down" not in shown
    held = room.relay.to(SECOND)[-1]
    assert "it needs a second leader’s OK" in text_of(held)
    assert room.lead.send(f"{page}/release", when="1").location.endswith("/approve")
    room.approve(page)
    assert room.is_sent()


def test_words_changed_after_queueing_are_not_those_that_leave(room):
    """An intruder in the web can change a row at any moment, and pause an issue in between."""
    page = room.asked_for(text="Come.")
    room.approve(page)
    with time_machine.travel(now() + timedelta(minutes=12), tick=True):
        room.worker._queue_due()
        room.execute(update(Newsletter).values(text={"en": "Follow https://evil.example"}))
        room.worker.drain()
    assert room.is_sent()
    assert not any("evil" in text_of(mail) for mail in room.mails(MEMBER))


@pytest.mark.parametrize("forged", ["same", "foreign", "digest"])
def test_the_worker_believes_two_proven_leads_alone(room, other_lead, forged):
    assert other_lead.open("/lead/").status_code == 200
    page = room.asked_for()
    with room.services.writing.begin() as session:
        found = session.scalars(select(Approval)).one()
        [foreign] = accounts.leads_of(session, group_named(session, "asian"))
        second = next(
            each
            for each in accounts.leads_of(session, group_named(session, "the-village"))
            if each.id != found.asked_by
        )
        by = {"same": found.asked_by, "foreign": foreign.id, "digest": second.id}[forged]
        found.approved_by = by
        if forged == "digest":
            found.digest = b"0" * 32
        session.execute(update(Newsletter).values(due_at=now(), released_by=found.asked_by))
    assert not room.is_sent()
    assert "second leader’s OK" in room.lead.open(f"{page}/sending").text


def test_an_operators_command_needs_no_approval_until_its_words_change(room, app, tmp_path):
    file = tmp_path / "tea.md"
    file.write_text("Come.")
    at = (now() + timedelta(hours=2)).astimezone(room.services.settings.timezone)
    runner: FlaskCliRunner = app.test_cli_runner()
    command = ["newsletter", "send", "the-village", str(file), "--subject", "Tea"]
    done = runner.invoke(args=[*command, "--at", f"{at:%Y-%m-%d %H:%M:%S}"])
    assert done.exit_code == 0, done.output
    page = f"/lead/newsletters/{done.output.strip()}"
    act(room.lead, page, "undo")
    room.lead.send(page, text="Other words.")
    assert room.lead.send(f"{page}/release", when="1").location.endswith("/approve")
    assert not room.is_sent()
    assert runner.invoke(args=command).exit_code == 0
    assert room.is_sent()


def test_a_discreet_group_with_two_leaders_asks_by_default(app, scenario):
    first = sign_in(app, scenario.keyring, "lgbtq")
    page = begin(first, "lgbtq")
    first.send(page, subject="Tea", text="Come.")
    assert "Ask for a second OK" not in first.open(f"{page}/release").text
    scenario.do(change_group, "lgbtq", approval_rule="always")
    alone = first.open(f"{page}/release").text
    assert "you’re its only leader." in alone
    assert "When should it be sent?" not in alone
    assert "Ask for a second OK" not in alone
    scenario.do(change_group, "lgbtq", approval_rule="auto")
    sign_in(app, scenario.keyring, "lgbtq", SECOND)
    assert "Ask for a second OK" in first.open(f"{page}/release").text
    with scenario.services.reading.begin() as session:
        assert approval.is_wanted(session, group_named(session, "lgbtq"))
        assert not approval.is_wanted(session, group_named(session, "the-village"))


def test_leaders_turn_it_on_and_only_the_office_turns_it_off(lead, app, scenario):
    setting = "/lead/groups/the-village/page"
    assert "at least two leaders" in lead.open(setting).text
    refused = lead.forge(setting, summary_en="Come to tea.", second_ok="y")
    assert refused.status_code == 422
    assert "Come to tea." in refused.text, "the team may have shrunk while someone typed"
    sign_in(app, scenario.keyring, "the-village", SECOND)
    assert 'name="second_ok"' in lead.open(setting).text
    for _ in range(2):
        lead.forge(setting, summary_en="Come to tea.", second_ok="y")
    chosen = [each.detail for each in trail(scenario.services, Kind.SETTING_CHANGED)]
    assert chosen.count("approval-always") == 1
    assert "Come to tea." in lead.open("/groups/the-village").text, "what was typed is saved too"
    assert "Only the office can turn this off." in lead.open(setting).text
    page = write(lead)
    assert "Ask for a second OK" in lead.open(f"{page}/release").text
    office = "/office/groups/the-village"
    assert lead.open(office).status_code == 404
    with scenario.services.writing.begin() as session:
        group = group_named(session, "the-village")
        session.add(Right(person=accounts.leads_of(session, group)[0], accepted_at=now()))
    older = Form(lead.open(office).text).fields | {"summary_en": "Come to chai."}
    for rule, status in (("never", 303), ("perhaps", 422), ("", 422)):
        assert lead.send(office, approval_rule=rule).status_code == status
    assert lead.press(office, **older).status_code == 303, "the rule as it was, in an older tab"
    page_of_group = lead.open("/office/groups/the-village").text
    assert "never" in re.findall(r'<input checked[^>]* value="(\w+)"', page_of_group)
    assert lead.send(f"{page}/release", when="1").location.endswith("/sending")
