"""Where an account is signed in: listed in words, ended one by one, with a warning of its end."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from belong_mail.accounts.models import BrowserSession
from belong_mail.accounts.session import device_of
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, link_to
from tests.scenario import Scenario
from tests.servers.smtp import Server

LEAD, OTHER = "lead@dpsk12.org", "other@dpsk12.org"
PAGE = "/account/sessions"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
CHROMEBOOK = (
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Safari/537.36"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    scenario = Scenario(visitor, worker, relay, services, keyring)
    scenario.invite_lead(LEAD)
    scenario.invite_lead(OTHER)
    return scenario


def signed_in(app: Flask, scenario: Scenario, user_agent: str, address: str = LEAD) -> Visitor:
    browser = Visitor(app.test_client(), {"User-Agent": user_agent})
    browser.send("/sign-in", email=address)
    browser.press(link_to(scenario.mails(address)[-1], "sign-in"))
    assert browser.open("/lead/").status_code == 200
    return browser


def rows(scenario: Scenario) -> list[tuple[str, str]]:
    with scenario.services.reading.begin() as session:
        found = session.execute(select(BrowserSession.public_id, BrowserSession.device))
        return [(row[0], row[1]) for row in found]


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox/Windows"),
        (IPHONE, "Safari/iPhone"),
        (CHROMEBOOK, "Chrome/Chromebook"),
        (EDGE, "Edge/Windows"),
        ("curl/8.5.0", "/"),
        ("", "/"),
        ("<script>" * 400, "/"),
    ],
)
def test_a_device_is_two_words_and_nothing_more(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device


def test_ones_sessions_are_listed_and_one_is_ended(app: Flask, scenario: Scenario) -> None:
    phone, here = signed_in(app, scenario, IPHONE), signed_in(app, scenario, FIREFOX)
    page = here.open(PAGE).text
    assert "Safari (iPhone)" in page
    assert "Firefox (Windows)" in page
    assert page.count("This one, where you are now") == 1
    [other] = [each for each, _device in rows(scenario) if f'value="{each}"' in page]
    token = Form(page).fields["csrf_token"]
    assert here.press(f"{PAGE}/end", csrf_token=token, session=other).status_code == 303
    assert phone.open("/lead/").status_code == 302
    assert here.open("/lead/").status_code == 200


def test_all_but_this_one_are_ended_with_one_press(app: Flask, scenario: Scenario) -> None:
    others = [signed_in(app, scenario, agent) for agent in (IPHONE, CHROMEBOOK)]
    here, elses = signed_in(app, scenario, FIREFOX), signed_in(app, scenario, EDGE, OTHER)
    token = Form(here.open(PAGE).text).fields["csrf_token"]
    here.press(f"{PAGE}/end", csrf_token=token, others="1")
    assert [each.open("/lead/").status_code for each in others] == [302, 302]
    assert here.open("/lead/").status_code == 200
    assert elses.open("/lead/").status_code == 200


def test_a_session_of_somebody_else_is_neither_listed_nor_ended(
    app: Flask, scenario: Scenario
) -> None:
    elses, here = signed_in(app, scenario, IPHONE, OTHER), signed_in(app, scenario, FIREFOX)
    page = here.open(PAGE).text
    assert "iPhone" not in page
    token = Form(page).fields["csrf_token"]
    [other] = [each for each, device in rows(scenario) if device == "Safari/iPhone"]
    assert here.press(f"{PAGE}/end", csrf_token=token, session=other).status_code == 404
    assert elses.open("/lead/").status_code == 200


def test_each_page_says_until_when_one_is_signed_in(app: Flask, scenario: Scenario) -> None:
    zone = scenario.services.settings.timezone
    with time_machine.travel(now(), tick=False) as clock:
        lead = signed_in(app, scenario, FIREFOX)
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


def test_a_stranger_hears_of_no_session(scenario: Scenario) -> None:
    assert "signed in until" not in scenario.visitor.open("/").text
    assert scenario.visitor.open(PAGE).location == "/sign-in"
