"""A stranger who types a lead's address all day keeps them from nothing, and fills no mailbox."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from belong_mail.accounts.models import Account
from belong_mail.accounts.signing_in import LINK_MAX_AGE
from belong_mail.core import rate_limits
from belong_mail.core.db import now
from tests.browser_client import Form, Visitor, link_to
from tests.scenario import Scenario

LEAD = "lead@dpsk12.org"
OTHER_LEAD = "second.lead@dpsk12.org"
ELSEWHERE = "203.0.113.7"
HANDFUL = 6


@pytest.fixture
def scenario(scenario: Scenario) -> Scenario:
    scenario.invite_lead(LEAD)
    return scenario


def browser(app: Flask) -> Visitor:
    return Visitor(app.test_client())


def sign_in(scenario: Scenario, lead: Visitor, address: str = LEAD) -> None:
    lead.send("/sign-in", email=address)
    lead.press(link_to(scenario.mails(address)[-1], "sign-in"))
    assert lead.open("/lead/").status_code == 200


def flood(
    app: Flask, scenario: Scenario, times: int, source: str = "127.0.0.1", *, cookies: bool = False
) -> None:
    """Type the lead's address so often; let the worker read it all."""
    client = app.test_client(use_cookies=cookies)
    typed = Form(Visitor(client).open("/sign-in").text).fields | {"email": LEAD}
    for _ in range(times):
        answer = client.post("/sign-in", data=typed, environ_overrides={"REMOTE_ADDR": source})
        assert answer.status_code == 303
    scenario.worker.drain()


def flood_from_everywhere(app: Flask, scenario: Scenario) -> None:
    for number in range(8):
        flood(app, scenario, 3, f"203.0.113.{number}")


def gets_a_link(scenario: Scenario, lead: Visitor) -> bool:
    """Ask for a link and tell whether one comes of it."""
    before = len(scenario.mails(LEAD))
    lead.send("/sign-in", email=LEAD)
    return len(scenario.mails(LEAD)) == before + 1


def test_refused_requests_lengthen_nobodys_wait(app, scenario):
    """Two hundred forms made a lead wait for 39 hours, forty for eight."""
    flood(app, scenario, 40)
    with time_machine.travel(now() + timedelta(minutes=16)):
        assert gets_a_link(scenario, browser(app))


def test_a_browser_in_which_a_lead_has_signed_in_gets_its_link_during_a_flood(app, scenario):
    lead = browser(app)
    sign_in(scenario, lead)
    lead.act("/sign-out")
    flood(app, scenario, 12)
    flood_from_everywhere(app, scenario)
    assert not gets_a_link(scenario, browser(app))
    assert gets_a_link(scenario, lead)
    assert lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in")).status_code == 303


def test_a_lead_somewhere_else_gets_a_link_while_one_source_floods(app, scenario):
    flood(app, scenario, 12, ELSEWHERE)
    assert gets_a_link(scenario, browser(app))


def test_a_lead_beside_a_flooding_browser_gets_a_link(app, scenario):
    """One browser, whose cookies stay, in the same building."""
    flood(app, scenario, 12, cookies=True)
    assert gets_a_link(scenario, browser(app))


def test_who_gets_no_link_of_their_own_uses_the_newest_that_was_mailed(app, scenario):
    """From everywhere at once, and the lead's browser is new: a link is there all the same."""
    flood_from_everywhere(app, scenario)
    lead = browser(app)
    assert not gets_a_link(scenario, lead)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    assert browser(app).press(link).status_code == 403, "who has not asked may not"
    assert lead.press(link).status_code == 303
    assert lead.open("/lead/").status_code == 200


@pytest.mark.parametrize(
    "rate",
    [
        rate_limits.SIGN_IN_BROWSER_RATE,
        rate_limits.SIGN_IN_SOURCE_RATE,
        rate_limits.SIGN_IN_STRANGERS_RATE,
        rate_limits.SIGN_IN_KNOWN_BROWSER_RATE,
        rate_limits.SIGN_IN_KNOWN_BROWSERS_RATE,
        rate_limits.PROOF_RATE,
    ],
)
def test_a_link_comes_before_the_one_before_it_has_ended(rate):
    assert rate.per / rate.burst <= LINK_MAX_AGE


def test_a_lead_signs_in_at_any_hour_of_a_day_of_flooding_from_everywhere(app, scenario):
    """In a browser of which nothing is known: by a link of its own, or the newest one."""
    begun = now()
    for step in range(0, 24 * 60, 155):
        with time_machine.travel(begun + timedelta(minutes=step)):
            for number in range(8):
                flood(app, scenario, 2, f"203.0.113.{number}")
        with time_machine.travel(begun + timedelta(minutes=step, seconds=20)):
            lead = browser(app)
            gets_a_link(scenario, lead)
            link = link_to(scenario.mails(LEAD)[-1], "sign-in")
            assert lead.press(link).status_code == 303
            assert lead.open("/lead/").status_code == 200


def test_who_asked_for_another_lead_cannot_use_a_leads_link(app, scenario):
    scenario.invite_lead(OTHER_LEAD)
    other = browser(app)
    other.send("/sign-in", email=OTHER_LEAD)
    browser(app).send("/sign-in", email=LEAD)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    assert other.press(link).status_code == 403


def test_a_link_serves_nobody_who_asked_before_its_time(app, scenario):
    early = browser(app)
    early.send("/sign-in", email=LEAD)
    scenario.worker.drain()
    with time_machine.travel(now() + timedelta(minutes=12)):
        browser(app).send("/sign-in", email=LEAD)
        link = link_to(scenario.mails(LEAD)[-1], "sign-in")
        assert early.press(link).status_code == 403


@pytest.mark.parametrize("sources", [1, 24])
def test_a_flooded_lead_gets_a_handful_of_mails_an_hour(sources, app, scenario):
    begun = now()
    for step in range(24):
        with time_machine.travel(begun + timedelta(minutes=15 * step)):
            flood(app, scenario, 3, f"203.0.113.{step % sources}")
    hours = 24 / 4
    assert HANDFUL <= len(scenario.relay.to(LEAD)) <= HANDFUL * (hours + 1)


def test_a_proof_of_one_account_gives_nothing_to_another(app, scenario):
    """A lead's own browser is a stranger's for every other lead's address."""
    scenario.invite_lead(OTHER_LEAD)
    lead = browser(app)
    sign_in(scenario, lead, OTHER_LEAD)
    flood(app, scenario, 12)
    flood_from_everywhere(app, scenario)
    assert not gets_a_link(scenario, lead)


def test_a_forged_or_foreign_cookie_is_no_proof(app, scenario):
    lead = browser(app)
    sign_in(scenario, lead)
    flood_from_everywhere(app, scenario)
    cookie = lead.client.get_cookie("belong-known")
    assert cookie is not None
    stranger = browser(app)
    for bent in (cookie.value[:-2] + "xx", "x" + cookie.value, "x", "x" * 3000):
        stranger.client.set_cookie("belong-known", bent)
        assert not gets_a_link(scenario, stranger)


def test_what_makes_a_browser_known_names_nobody(app, scenario):
    lead = browser(app)
    sign_in(scenario, lead)
    cookie = lead.client.get_cookie("belong-known")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    with scenario.services.reading.begin() as session:
        [account] = session.scalars(select(Account))
    assert account.public_id not in cookie.value
    assert "lead" not in cookie.value


def test_the_page_answers_alike_with_and_without_a_known_browser(app, scenario):
    lead, stranger = browser(app), browser(app)
    sign_in(scenario, lead)
    answers = []
    for each, address in ((lead, LEAD), (lead, "nobody@dpsk12.org"), (stranger, LEAD)):
        answer = each.send("/sign-in", email=address)
        answers.append((answer.status_code, answer.location, answer.data))
    assert len(set(answers)) == 1
