"""“Introduce me to the leads”: told on the page, mailed after confirming, then forgotten."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts.models import Account, Right
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Question
from belong_mail.members.jobs import FinishConfirmation, Join
from belong_mail.members.models import PendingConfirmation, Subscription
from tests.browser_client import Form, html_of, link_to, text_of
from tests.factories import group_named
from tests.scenario import ADA

LEAD, SPANISH = "lead@dpsk12.org", "lider@dpsk12.org"
TOLD = "The form asked us to introduce you."
TYPED: dict[str, Any] = {
    "first_name": "Ada",
    "question-1": "1",
    "question-2": ["0", "1"],
    "introduce_me": "y",
}


def kept_answers(scenario) -> int:
    """Count the rows that still hold an introduction."""
    scenario.purge()
    tables = PendingConfirmation, Subscription
    held = [each for table in tables for each in scenario.query(select(table.wrapped_introduction))]
    return sum(each is not None for each in held)


def test_a_group_without_a_leader_offers_no_introduction_and_others_leave_the_box_off(scenario):
    page = scenario.visitor.open("/groups/the-village/join").text
    assert "introduce_me" not in page
    assert "question-1" not in page
    scenario.visitor.forge("/groups/the-village/join", email=ADA, **TYPED)
    scenario.visitor.follow(link_to(scenario.mails()[-1], "confirm"))
    scenario.worker.drain()
    assert kept_answers(scenario) == 0
    scenario.invite_lead(LEAD)
    page = scenario.visitor.open("/groups/the-village/join").text
    assert "introduce_me" in page
    assert "introduce_me" not in Form(page).fields
    assert "We don’t keep a copy, but their inboxes do." in page


def test_the_leads_are_told_once_after_the_button_and_not_before(scenario):
    for lead in (LEAD, "second.lead@dpsk12.org", SPANISH):
        scenario.invite_lead(lead)
    with scenario.services.writing.begin() as session:
        session.scalars(select(Account).order_by(Account.id)).all()[-1].language = "es"
        group = group_named(session, "the-village").id
        for position, label in ((8, "Write to me"), (9, "Call me")):
            agreed = {"position": position, "kind": "consent", "label": {"en": label}}
            session.add(Question(group_id=group, **agreed))
    link = scenario.confirm_link(**TYPED, **{"question-9": "y"})
    assert TOLD in scenario.visitor.open(link).text
    assert scenario.mails(LEAD) == []

    for _ in range(3):
        scenario.visitor.follow(link)
        scenario.worker.drain()
    assert TOLD not in scenario.visitor.open(link).text
    for lead in (LEAD, "second.lead@dpsk12.org"):
        [mail] = scenario.mails(lead)
        assert mail["Reply-To"] == ADA
        assert mail["To"] == lead
        assert mail["Subject"] == "A new member says hello"
        for part in (text_of(mail), html_of(mail)):
            for words in ("The Village", "Ada", ADA, "Middle or high school", "Call me", "Yes"):
                assert words in part
            assert "Welcoming new colleagues, Planning events" in part
            assert "Write to me" not in part, "its box was left off"
    [mail] = scenario.mails(SPANISH)
    assert '<html lang="es"' in html_of(mail), "each in their own language"
    assert [mail["Reply-To"] for mail in scenario.mails()] == [None, None]
    assert kept_answers(scenario) == 0


def test_without_the_tick_the_answers_are_never_stored(scenario):
    scenario.invite_lead(LEAD)
    typed = {name: value for name, value in TYPED.items() if name != "introduce_me"}
    scenario.visitor.join("the-village", ADA, **typed)
    [request] = scenario.query(select(Job))
    wanted = Join.open(scenario.keyring.opener, request)
    group = scenario.group("the-village").public_id
    assert wanted == Join(address=ADA, language="en", first_name="Ada", group=group)

    [mail] = scenario.mails()
    link = link_to(mail, "confirm")
    assert TOLD not in scenario.visitor.open(link).text
    scenario.visitor.follow(link)
    assert scenario.mails(LEAD) == []
    assert kept_answers(scenario) == 0


def test_a_member_is_introduced_by_a_later_link_that_says_so(scenario):
    scenario.invite_lead(LEAD)
    plain = scenario.confirm_link()
    with time_machine.travel(now() + timedelta(minutes=16)):
        with_tick = scenario.confirm_link(**TYPED)
        scenario.visitor.follow(plain)
        assert scenario.mails(LEAD) == []
        asked = scenario.visitor.open(with_tick).text
        assert TOLD in asked
        assert ">Join " not in asked
        for _ in range(2):
            scenario.visitor.follow(with_tick)
            assert len(scenario.mails(LEAD)) == 1
    assert kept_answers(scenario) == 0
    assert scenario.subjects().count("Welcome! You’re in.") == 1


@pytest.mark.parametrize("has_left", [True, False])
def test_a_member_who_leaves_before_the_email_goes_out_is_not_introduced(has_left, scenario):
    scenario.invite_lead(LEAD)
    link = scenario.confirm_link(**TYPED)
    scenario.visitor.follow(link)
    if has_left:
        not_me = scenario.visitor.open(link).text.partition('href="/not-me/')[2].partition('"')[0]
        scenario.visitor.follow(f"/not-me/{not_me}", choice="forget")
    else:  # all bounces
        scenario.execute(update(Subscription).values(ended_at=now(), is_unreachable=True))
    assert scenario.mails(LEAD) == []
    assert "welcome-member" not in scenario.query(select(Delivery.kind))
    assert not has_left or kept_answers(scenario) == 0


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(
    ("written", "introduced"),
    [("UPDATE rights SET accepted_at = NULL", 1), ("DELETE FROM rights", 0)],
)
def test_an_introduction_depends_on_the_leaders_proof_and_not_on_a_momentary_mark(
    written, introduced, is_read, scenario
):
    scenario.invite_lead(LEAD)
    scenario.visitor.follow(scenario.confirm_link(**TYPED))
    if is_read:
        scenario.worker.read_jobs()
    with scenario.services.writing.begin() as session:
        session.connection().exec_driver_sql(written)
    assert len(scenario.mails(LEAD)) == introduced


def test_an_introduction_waits_while_a_right_has_ended_and_its_row_is_there(scenario):
    """The worker deletes it within a minute; a mark of a moment mutes nothing."""
    scenario.invite_lead(LEAD)
    scenario.visitor.follow(scenario.confirm_link(**TYPED))
    scenario.worker.read_jobs()
    for ends_at, introduced in ((now(), 0), (None, 1)):
        scenario.execute(update(Right).values(ends_at=ends_at))
        with time_machine.travel(now() + timedelta(hours=introduced)):
            assert len(scenario.mails(LEAD)) == introduced


def test_no_one_is_introduced_or_welcomed_without_the_secret_of_their_own_link(scenario):
    """The web may mark them as a member, but reads only the hash of what the email holds."""
    scenario.invite_lead(LEAD)
    link = scenario.confirm_link(**TYPED)
    [pending] = scenario.query(select(PendingConfirmation))
    scenario.execute(update(Subscription).values(confirmed_at=now()))
    finish(scenario, pending, pending.confirm_id)
    assert scenario.mails(LEAD) == []
    assert len(scenario.mails()) == 1
    scenario.visitor.follow(link)
    assert len(scenario.mails(LEAD)) == 1
    assert len(scenario.mails()) == 2


def finish(scenario, pending: PendingConfirmation, secret: str) -> None:
    of_member = {"subscription_id": pending.subscription_id}
    scenario.do(FinishConfirmation(secret).ask, scenario.services.sealer, **of_member)


def test_a_member_is_welcomed_once_however_often_the_web_says_that_they_confirmed(scenario):
    link = scenario.confirm_link()
    [pending] = scenario.query(select(PendingConfirmation))
    scenario.visitor.follow(link)
    welcomed = len(scenario.mails())
    for _ in range(3):
        finish(scenario, pending, scenario.confirm_secret(link))
    assert len(scenario.mails()) == welcomed
