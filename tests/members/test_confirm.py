"""Confirming: asks on GET, acts on POST, any number of times; other links find one kind page."""

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text, update

from belong_mail.core.db import now
from belong_mail.core.tokens import BadToken
from belong_mail.delivery.models import Delivery
from belong_mail.members import service as members
from belong_mail.members.models import PendingConfirmation
from tests.browser_client import link_to, text_of
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE


def is_over(answer) -> bool:
    words = "This link doesn’t work anymore"
    return answer.status_code == 404 and words in answer.text and 'href="/' in answer.text


def kinds(scenario) -> Counter[str]:
    return Counter(scenario.query(select(Delivery.kind)))


@on_both("locks")
def test_confirming_sees_the_changes_of_another_press_once_its_lock_is_gone(scenario):
    """Rows that were read before the wait for the lock are not trusted after it."""
    secret = scenario.confirm_secret(scenario.confirm_link())
    with scenario.services.writing.begin() as session:
        pending = session.scalars(select(PendingConfirmation)).one()
        assert pending.subscription.confirmed_at is None
        session.execute(text("UPDATE subscriptions SET confirmed_at = requested_at"))
        members.confirm(session, scenario.services.sealer, secret)
    assert kinds(scenario) == {"confirm-subscription": 1}

    with scenario.services.writing.begin() as session:
        assert session.scalars(select(PendingConfirmation)).one()
        session.execute(text("DELETE FROM pending_confirmations"))
        with pytest.raises(BadToken):
            members.confirm(session, scenario.services.sealer, secret)


def test_an_address_with_a_plus_tag_is_the_mailbox_without_it(scenario):
    """One person is one member, whatever they type, and counts once for leaders."""
    scenario.visitor.join(VILLAGE, "ada+news@dpsk12.org")
    [mail] = scenario.mails()
    scenario.visitor.follow(link_to(mail, "confirm"))
    scenario.worker.drain()
    for typed in ("Ada+x@dpsk12.org", ADA):
        scenario.visitor.join(VILLAGE, typed)
        scenario.wait_for(typed)
    assert {each.recipient for each in scenario.relay.accepted} == {ADA}
    assert scenario.subjects()[2:] == ["About your request"]
    assert (scenario.rows("subscriptions"), scenario.rows("waitlist_entries")) == (1, 1)


def test_the_link_works_for_three_days(scenario):
    asked_at = now()
    link = scenario.confirm_link()
    with time_machine.travel(asked_at + timedelta(hours=71, minutes=59)):
        page = scenario.visitor.open(link)
        assert (page.status_code, page.text.count("<button")) == (200, 1)
        assert '<meta name="robots" content="noindex">' in page.text
        assert "The Village" not in page.text.partition("</title>")[0]
    with time_machine.travel(asked_at + timedelta(hours=72, minutes=2)):
        assert is_over(scenario.visitor.open(link))
        assert is_over(scenario.visitor.follow(link))
    assert not scenario.is_member()


def test_each_link_even_an_earlier_one_grants_the_request_of_its_own_email(scenario):
    bob = "bob@dpsk12.org"
    first = scenario.confirm_link(first_name="Ada", language="en")
    bobs = scenario.confirm_link(bob, first_name="Bob")
    with time_machine.travel(now() + timedelta(minutes=16)):
        second = scenario.confirm_link(first_name="Augusta", language="es")
        scenario.confirm_link(bob, first_name="Robert")
        scenario.visitor.follow(second)
        welcome = scenario.mails()[-1]
        scenario.visitor.follow(bobs)
        assert "Bob" in text_of(scenario.mails(bob)[-1])
        assert "If you leave DPS" in text_of(scenario.mails(bob)[-1])
    assert "Augusta" in text_of(welcome)
    assert "Ada!" not in text_of(welcome)
    assert "¡" in welcome["Subject"]
    assert scenario.visitor.follow(first).status_code == 200
    assert scenario.subscription().language == "es"
    assert scenario.is_member(bob)


def test_a_letter_never_asks_about_somebody_elses_wish(scenario):
    """Nor does it when its row names another's: it was fixed when it was asked for."""
    scenario.visitor.join(VILLAGE, ADA)
    scenario.execute(update(Delivery).values(due_at=now() + timedelta(hours=1)))
    scenario.worker.read_jobs()
    scenario.execute(update(Delivery).values(due_at=now(), about_id=Delivery.about_id + 1))
    scenario.visitor.join("asian", "bob@dpsk12.org")
    assert scenario.subjects("bob@dpsk12.org") == ["Confirm your request to DPS Belong"]
    [mail] = scenario.mails()
    scenario.visitor.follow(link_to(mail, "confirm"))
    assert scenario.is_member()
    assert not scenario.is_member("bob@dpsk12.org", "asian")
