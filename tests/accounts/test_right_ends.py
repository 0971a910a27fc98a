"""Rights end after a year unless one press renews them; those concerned hear of it before."""

from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from belong_mail.accounts import invitations, right_tasks
from belong_mail.accounts.models import Account, GroupLead
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, link_to, text_of
from tests.markers import on_both
from tests.overlapping import do_twice_at_once
from tests.scenario import VILLAGE, Scenario
from tests.servers.smtp import Server

OFFICE, COLLEAGUE, LEAD = "office@dpsk12.org", "colleague@dpsk12.org", "lead@dpsk12.org"
SOON, CHANGED = "A role ends soon", "Someone’s role changed"
YEAR = timedelta(days=365)


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    scenario = Scenario(visitor, worker, relay, services, keyring)
    add_office(scenario, OFFICE)
    scenario.invite_lead(LEAD)
    return scenario


def add_office(scenario: Scenario, address: str) -> None:
    with scenario.services.writing.begin() as session:
        invitations.invite_office(session, scenario.keyring.opener, scenario.keyring.index, address)


def on_day(scenario: Scenario, moment: datetime, address: str) -> list[str]:
    """Let the worker do the chores of a moment; return the subjects of what an address has."""
    with time_machine.travel(moment):
        scenario.worker.drain()
        return [str(mail["Subject"]) for mail in scenario.mails(address)]


def signed_in(app: Flask, scenario: Scenario, address: str) -> Visitor:
    browser = Visitor(app.test_client())
    browser.send("/sign-in", email=address)
    [*_, mail] = [m for m in scenario.mails(address) if m["Subject"] == "Your sign-in link"]
    browser.press(link_to(mail, "sign-in"))
    return browser


def public_id(scenario: Scenario, address: str) -> str:
    key = scenario.keyring.index.account(address)
    with scenario.services.reading.begin() as session:
        return session.scalars(select(Account.public_id).where(Account.address_index == key)).one()


def leads(scenario: Scenario) -> int:
    with scenario.services.reading.begin() as session:
        return len(session.scalars(select(GroupLead)).all())


def renew(scenario: Scenario, browser: Visitor, address: str, role: str) -> int:
    person = f"/office/leads/{public_id(scenario, address)}"
    token = Form(browser.open(person).text).fields["csrf_token"]
    return browser.press(f"{person}/renew", csrf_token=token, role=role).status_code


@on_both("races")
def test_two_workers_in_the_same_minute_remind_once(scenario: Scenario) -> None:
    with time_machine.travel(now() + YEAR - timedelta(days=29)):
        do_twice_at_once(
            scenario.services, lambda session: right_tasks.remind_of_ends(session, scenario.keyring)
        )
        scenario.worker.drain()
        assert [str(mail["Subject"]) for mail in scenario.mails(LEAD)].count(SOON) == 1
        assert [str(mail["Subject"]) for mail in scenario.mails(OFFICE)].count(SOON) == 2, "its own"


def test_those_concerned_hear_a_month_and_a_week_before(scenario: Scenario) -> None:
    begun = now()
    assert on_day(scenario, begun + YEAR - timedelta(days=31), LEAD) == []
    for days, times in ((29, 1), (20, 1), (8, 1), (6, 2), (1, 2)):
        moment = begun + YEAR - timedelta(days=days)
        assert on_day(scenario, moment, LEAD) == [SOON] * times
        assert on_day(scenario, moment, OFFICE).count(SOON) == 2 * times, "its own too"
    assert "The Village Belong Group: until" in text_of(scenario.mails(LEAD)[-1])


def test_a_right_that_no_one_renews_ends(app: Flask, scenario: Scenario) -> None:
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(hours=1)):
        lead = signed_in(app, scenario, LEAD)
        assert "Ask the Belong office to renew it" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR - timedelta(minutes=40)):
        assert "The Village" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR - timedelta(minutes=15)):
        assert "The Village" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        assert "The Village" not in lead.open("/lead/").text, "before the worker has taken it away"
        assert [str(m["Subject"]) for m in scenario.mails(LEAD)].count(CHANGED) == 1
        assert "because no one renewed it" in text_of(scenario.mails(LEAD)[-1])
        assert leads(scenario) == 0


def test_the_office_renews_a_lead_with_one_press(app: Flask, scenario: Scenario) -> None:
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(days=10)):
        office = signed_in(app, scenario, OFFICE)
        assert renew(scenario, office, LEAD, VILLAGE) == 303
    assert SOON not in on_day(scenario, begun + YEAR + timedelta(days=1), LEAD)[1:]
    assert leads(scenario) == 1
    assert on_day(scenario, begun + 2 * YEAR - timedelta(days=20), LEAD).count(SOON) == 1


def test_a_colleague_renews_the_office_and_not_oneself(app: Flask, scenario: Scenario) -> None:
    add_office(scenario, COLLEAGUE)
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(days=10)):
        office = signed_in(app, scenario, OFFICE)
        assert renew(scenario, office, OFFICE, "office") == 404
        assert renew(scenario, office, COLLEAGUE, "office") == 303
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        scenario.worker.drain()
        office = Visitor(app.test_client())
        office.send("/sign-in", email=OFFICE)
        came = [str(mail["Subject"]) for mail in scenario.mails(OFFICE)]
        assert came.count("Your sign-in link") == 1, "of a year ago"
        assert signed_in(app, scenario, COLLEAGUE).open("/office/leads").status_code == 200


def test_the_last_of_the_office_stays_and_renews_themself(app: Flask, scenario: Scenario) -> None:
    with time_machine.travel(now() + YEAR + timedelta(days=2)):
        scenario.worker.drain()
        office = signed_in(app, scenario, OFFICE)
        assert office.open("/office/leads").status_code == 200
        assert renew(scenario, office, OFFICE, "office") == 303
