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
from tests.overlapping import do_twice_at_once
from tests.scenario import VILLAGE, Stage
from tests.servers.smtp import Server

OFFICE, COLLEAGUE, LEAD = "office@dpsk12.org", "colleague@dpsk12.org", "lead@dpsk12.org"
SOON, CHANGED = "A role ends soon", "Someone’s role changed"
YEAR = timedelta(days=365)


@pytest.fixture
def stage(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Stage:
    stage = Stage(visitor, worker, relay, services, keyring)
    add_office(stage, OFFICE)
    stage.invite_lead(LEAD)
    return stage


def add_office(stage: Stage, address: str) -> None:
    with stage.services.writing.begin() as session:
        invitations.invite_office(session, stage.keyring.opener, stage.keyring.index, address)


def on_day(stage: Stage, moment: datetime, address: str) -> list[str]:
    """Let the worker do the chores of a moment; return the subjects of what an address has."""
    with time_machine.travel(moment):
        stage.worker.drain()
        return [str(mail["Subject"]) for mail in stage.mails(address)]


def signed_in(app: Flask, stage: Stage, address: str) -> Visitor:
    browser = Visitor(app.test_client())
    browser.send("/sign-in", email=address)
    [*_, mail] = [m for m in stage.mails(address) if m["Subject"] == "Your sign-in link"]
    browser.press(link_to(mail, "sign-in"))
    return browser


def public_id(stage: Stage, address: str) -> str:
    key = stage.keyring.index.account(address)
    with stage.services.reading.begin() as session:
        return session.scalars(select(Account.public_id).where(Account.address_index == key)).one()


def leads(stage: Stage) -> int:
    with stage.services.reading.begin() as session:
        return len(session.scalars(select(GroupLead)).all())


def renew(stage: Stage, browser: Visitor, address: str, role: str) -> int:
    person = f"/office/leads/{public_id(stage, address)}"
    token = Form(browser.open(person).text).fields["csrf_token"]
    return browser.press(f"{person}/renew", csrf_token=token, role=role).status_code


def test_two_workers_in_the_same_minute_remind_once(stage: Stage) -> None:
    with time_machine.travel(now() + YEAR - timedelta(days=29)):
        do_twice_at_once(
            stage.services, lambda session: right_tasks.remind_of_ends(session, stage.keyring)
        )
        stage.worker.drain()
        assert [str(mail["Subject"]) for mail in stage.mails(LEAD)].count(SOON) == 1
        assert [str(mail["Subject"]) for mail in stage.mails(OFFICE)].count(SOON) == 2, "its own"


def test_those_concerned_hear_a_month_and_a_week_before(stage: Stage) -> None:
    begun = now()
    assert on_day(stage, begun + YEAR - timedelta(days=31), LEAD) == []
    for days, times in ((29, 1), (20, 1), (8, 1), (6, 2), (1, 2)):
        moment = begun + YEAR - timedelta(days=days)
        assert on_day(stage, moment, LEAD) == [SOON] * times
        assert on_day(stage, moment, OFFICE).count(SOON) == 2 * times, "its own too"
    assert "The Village Belong Group: until" in text_of(stage.mails(LEAD)[-1])


def test_a_right_that_no_one_renews_ends(app: Flask, stage: Stage) -> None:
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(hours=1)):
        lead = signed_in(app, stage, LEAD)
        assert "Ask the Belong office to renew it" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR - timedelta(minutes=40)):
        assert "The Village" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR - timedelta(minutes=15)):
        assert "The Village" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        assert "The Village" not in lead.open("/lead/").text, "before the worker has taken it away"
        assert [str(m["Subject"]) for m in stage.mails(LEAD)].count(CHANGED) == 1
        assert "because no one renewed it" in text_of(stage.mails(LEAD)[-1])
        assert leads(stage) == 0


def test_the_office_renews_a_lead_with_one_press(app: Flask, stage: Stage) -> None:
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(days=10)):
        office = signed_in(app, stage, OFFICE)
        assert renew(stage, office, LEAD, VILLAGE) == 303
    assert SOON not in on_day(stage, begun + YEAR + timedelta(days=1), LEAD)[1:]
    assert leads(stage) == 1
    assert on_day(stage, begun + 2 * YEAR - timedelta(days=20), LEAD).count(SOON) == 1


def test_a_colleague_renews_the_office_and_not_oneself(app: Flask, stage: Stage) -> None:
    add_office(stage, COLLEAGUE)
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(days=10)):
        office = signed_in(app, stage, OFFICE)
        assert renew(stage, office, OFFICE, "office") == 404
        assert renew(stage, office, COLLEAGUE, "office") == 303
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        stage.worker.drain()
        office = Visitor(app.test_client())
        office.send("/sign-in", email=OFFICE)
        came = [str(mail["Subject"]) for mail in stage.mails(OFFICE)]
        assert came.count("Your sign-in link") == 1, "of a year ago"
        assert signed_in(app, stage, COLLEAGUE).open("/office/leads").status_code == 200


def test_the_last_of_the_office_stays_and_renews_themself(app: Flask, stage: Stage) -> None:
    with time_machine.travel(now() + YEAR + timedelta(days=2)):
        stage.worker.drain()
        office = signed_in(app, stage, OFFICE)
        assert office.open("/office/leads").status_code == 200
        assert renew(stage, office, OFFICE, "office") == 303
