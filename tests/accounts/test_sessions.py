"""Where an account is signed in: listed in words, ended one by one, with a warning of its end."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.accounts.models import BrowserSession
from belong_mail.core.db import now
from tests.browser_client import Visitor, link_to
from tests.clients import signed_in
from tests.db_dump import dump_of
from tests.scenario import Scenario

LEAD, OTHER = "lead@dpsk12.org", "other@dpsk12.org"
PAGE = "/account/sessions"


@pytest.fixture
def scenario(scenario: Scenario) -> Scenario:
    scenario.invite_lead(LEAD)
    scenario.invite_lead(OTHER)
    return scenario


def rows(scenario: Scenario) -> list[str]:
    """List the sessions, the first to begin first."""
    with scenario.services.reading.begin() as session:
        return list(session.scalars(select(BrowserSession.public_id).order_by(BrowserSession.id)))


def test_ones_sessions_are_listed_and_one_is_ended(app, scenario):
    phone, here = signed_in(app, scenario.keyring, LEAD), signed_in(app, scenario.keyring, LEAD)
    page = here.open(PAGE).text
    assert page.count("Since ") == 2
    assert page.count("This one, where you are now") == 1
    [other] = [each for each in rows(scenario) if f'value="{each}"' in page]
    assert here.act(f"{PAGE}/end", session=other).status_code == 303
    assert phone.open("/lead/").status_code == 302
    assert here.open("/lead/").status_code == 200


def test_of_a_browser_nothing_is_kept(app, scenario):
    browser = Visitor(app.test_client(), {"User-Agent": "Canary/1.0"})
    browser.send("/sign-in", email=LEAD)
    browser.press(link_to(scenario.mails(LEAD)[-1], "sign-in"))
    assert browser.open(PAGE).status_code == 200
    assert "Canary" not in str(dump_of(scenario.services))


def test_all_but_this_one_are_ended_with_one_press(app, scenario):
    others = [signed_in(app, scenario.keyring, LEAD) for _ in range(2)]
    here, elses = signed_in(app, scenario.keyring, LEAD), signed_in(app, scenario.keyring, OTHER)
    here.act(f"{PAGE}/end", others="1")
    assert [each.open("/lead/").status_code for each in others] == [302, 302]
    assert here.open("/lead/").status_code == 200
    assert elses.open("/lead/").status_code == 200


def test_a_session_of_somebody_else_is_neither_listed_nor_ended(app, scenario):
    elses, here = signed_in(app, scenario.keyring, OTHER), signed_in(app, scenario.keyring, LEAD)
    page = here.open(PAGE).text
    other, _own = rows(scenario)
    assert other not in page
    assert here.act(f"{PAGE}/end", session=other).status_code == 404
    assert elses.open("/lead/").status_code == 200


def test_each_page_says_until_when_one_is_signed_in(app, scenario):
    zone = scenario.services.settings.timezone
    with time_machine.travel(now(), tick=False) as clock:
        lead = signed_in(app, scenario.keyring, LEAD)
        begun = now()

        def says(ends: timedelta) -> bool:
            time = f"{(begun + ends).astimezone(zone):%I:%M %p}".lstrip("0")
            return f"You’re signed in until {time}" in lead.open("/lead/").text

        assert says(timedelta(minutes=30))
        clock.shift(timedelta(minutes=20))
        assert says(timedelta(minutes=50)), "opening a page extends it"
        for _ in range(24):
            clock.shift(timedelta(minutes=29))
            assert lead.open("/lead/").status_code == 200
        assert says(timedelta(hours=12)), "and never beyond half a day"


def test_a_stranger_hears_of_no_session(scenario):
    assert "signed in until" not in scenario.visitor.open("/").text
    assert scenario.visitor.open(PAGE).location == "/sign-in"
