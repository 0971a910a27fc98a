"""When an issue goes out: later, over the changes of the clocks, and after downtime."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.core.db import now
from belong_mail.newsletters.release import InvalidLocalTime, local_moment
from tests.browser_client import Form, text_of
from tests.factories import make_members
from tests.newsletters.writing import write

DENVER = ZoneInfo("America/Denver")


def test_an_hour_that_the_clocks_skip_is_explained_and_another_offered(lead):
    page = write(lead)
    answer = lead.send(f"{page}/release", when="later", at="2027-03-14T02:30")
    assert answer.status_code == 422
    assert "this time doesn’t exist" in answer.text
    assert "3:30 AM" in answer.text


def test_of_an_hour_that_comes_twice_the_first_is_taken():
    moment = local_moment(datetime(2026, 11, 1, 1, 30), DENVER)  # noqa: DTZ001
    assert moment == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2037, 12, 31)))  # noqa: DTZ001
def test_every_local_time_exists_or_its_neighbour_does(local):
    try:
        shown = local_moment(local, DENVER).astimezone(DENVER)
    except InvalidLocalTime as skipped:
        shown = skipped.instead - timedelta(hours=1)
    assert shown.replace(tzinfo=None) == local


@pytest.mark.parametrize("at", ["", "yesterday", "2020-01-01T10:00"])
def test_a_time_that_is_missing_odd_or_past_is_refused(lead, at):
    page = write(lead)
    answer = lead.send(f"{page}/release", when="later", at=at)
    assert answer.status_code == 422
    assert 'id="at-error"' in answer.text
    assert 'id="when-error"' not in answer.text
    assert "draft" in lead.open(f"{page}/sending").text


def test_an_issue_for_later_leaves_then_and_not_before(lead, services, keyring, worker, relay):
    with services.writing.begin() as session:
        make_members(session, keyring, 2)
    page = write(lead)
    later = (now() + timedelta(days=1)).astimezone(DENVER)
    at = f"{later:%Y-%m-%dT%H:%M}"
    assert lead.send(f"{page}/release", when="later", at=at).status_code == 303
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    with time_machine.travel(later + timedelta(minutes=2), tick=True):
        worker.drain()
    assert len(relay.to("member1@dpsk12.org")) == 1


def test_an_issue_whose_time_passed_while_we_were_down_is_held_and_its_lead_asked(
    lead, services, keyring, worker, relay
):
    with services.writing.begin() as session:
        make_members(session, keyring, 2)
    page = write(lead)
    lead.send(f"{page}/release", when="now", minutes="1")
    with time_machine.travel(now() + timedelta(hours=2), tick=True):
        worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    asked = relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert "The Village" not in asked["Subject"]
    assert page in text_of(asked)
    shown = lead.open(f"{page}/sending").text
    assert "the site was down at the scheduled time. What would you like to do?" in shown

    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 303
    with time_machine.travel(now() + timedelta(minutes=3), tick=True):
        worker.drain()
    assert len(relay.to("member1@dpsk12.org")) == 1


def test_a_leads_own_mails_come_in_the_language_that_they_choose(lead, worker, relay):
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    assert "Our emails to you are in <strong>English</strong>" in lead.open("/lead/").text
    assert lead.press("/lead/language", language="fr", csrf_token=token).status_code == 400
    chosen = lead.press("/lead/language", language="es", csrf_token=token)
    assert "Our emails to you are in <strong>Español</strong>" in lead.open(chosen.location).text
    page = write(lead)
    lead.send(f"{page}/release", when="now", minutes="1")
    with time_machine.travel(now() + timedelta(hours=2), tick=True):
        worker.drain()
    asked = relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert asked["Subject"] == "Tu boletín no se envió. ¿Qué quieres hacer?"
    assert f"{page}/sending?lang=es" in text_of(asked)


def test_releasing_twice_or_undoing_too_late_changes_nothing(
    lead, services, keyring, worker, relay
):
    with services.writing.begin() as session:
        make_members(session, keyring, 1)
    page = write(lead)
    form = Form(lead.open(f"{page}/release").text).fields | {"when": "now", "minutes": "1"}
    assert lead.press(f"{page}/release", **form).status_code == 303
    assert lead.press(f"{page}/release", **form).status_code == 409
    with time_machine.travel(now() + timedelta(minutes=3), tick=True):
        worker.drain()
    assert lead.press(f"{page}/undo", csrf_token=form["csrf_token"]).status_code == 409
    assert len(relay.to("member0@dpsk12.org")) == 1


def test_an_issue_without_words_cannot_be_released(lead):
    page = write(lead)
    lead.send(page, subject="", text="")
    answer = lead.send(f"{page}/release", when="now", minutes="1")
    assert answer.status_code == 422
    assert "Add a subject." in answer.text
    assert "draft" in lead.open(f"{page}/sending").text
