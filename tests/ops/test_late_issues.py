"""After an outage nothing leaves that nobody wants any more, and no issue comes late unasked."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.delivery import pause
from belong_mail.delivery.models import Delivery, State
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import text_of
from tests.clients import sign_in
from tests.database import execute
from tests.delivery.factories import books, queue
from tests.factories import queue_issue
from tests.markers import on_both, one_by_day
from tests.servers.smtp import drop

pytestmark = pytest.mark.usefixtures("clock", "lead")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LEAD = "lead-of-the-village@dpsk12.org"
AWAY = "421 4.3.2 Closing"


def wait(clock, worker, minutes: int) -> None:
    for _ in range(minutes // 5):
        clock.shift(5 * MINUTE)
        worker.drain()


def is_late(services, issue: int) -> bool:
    with services.reading.begin() as session:
        found = session.get_one(Newsletter, issue)
        assert (found.paused_at is not None) is found.is_late
        return found.is_late


def asked(relay) -> int:
    """Count what leads were asked about issues that stood still."""
    return sum("is paused" in mail["Subject"] for mail in relay.to(LEAD))


@one_by_day("a paced worker", of="database_url")
@on_both("times")
@pytest.mark.parametrize("settings", [{}, {"BELONG_SEND_RATE": "6000"}], ids=["", "paced"])
def test_an_issue_that_no_relay_took_for_an_hour_waits_for_its_lead(
    app, clock, worker, relay, services, keyring
):
    """Some have it when the relay goes away for five days; the lead, who reads why, goes on."""
    issue = queue(services, 6)
    relay.script("MAIL", None, None)
    relay.always("MAIL", AWAY)
    wait(clock, worker, 55)
    assert not is_late(services, issue)
    wait(clock, worker, 15)
    assert is_late(services, issue)
    with services.reading.begin() as session:
        page = f"/lead/newsletters/{session.get_one(Newsletter, issue).public_id}/sending"
    shown = sign_in(app, keyring, "the-village").open(page).text
    assert "because no email could go out for an hour" in shown
    done = len(relay.accepted)
    assert 0 < done < 6
    clock.shift(5 * DAY)
    relay.usual()
    wait(clock, worker, 20)
    assert books(services, issue) == {"recipients": 6, "accepted": done, "queued": 6 - done}
    assert asked(relay) == 1
    assert "because no email could go out" in text_of(relay.to(LEAD)[-1])
    relay.script("RCPT", "451 4.2.1 Not now")  # its two days count from here on
    _go_on(services, issue)
    wait(clock, worker, 20)
    assert books(services, issue) == {"recipients": 6, "accepted": 6}
    assert not is_late(services, issue)


def test_a_leader_who_resumes_during_an_outage_is_asked_again_only_after_an_hour(
    clock, worker, relay, services
):
    issue = queue(services, 1)
    relay.always("MAIL", AWAY)
    wait(clock, worker, 70)
    _go_on(services, issue)
    wait(clock, worker, 50)
    assert not is_late(services, issue)
    wait(clock, worker, 20)
    assert is_late(services, issue)
    relay.usual()
    wait(clock, worker, 10)
    assert asked(relay) == 1, "the first mail had not left"


def test_an_issue_that_the_web_dates_as_resumed_in_years_waits_for_its_lead_too(
    clock, worker, relay, services
):
    issue = queue(services, 1)
    execute(services, update(Newsletter).values(resumed_at=now() + 9000 * DAY))
    relay.always("MAIL", AWAY)
    wait(clock, worker, 70)
    assert is_late(services, issue)


def test_a_worker_that_was_down_for_five_days_asks_before_it_goes_on(
    clock, worker_with, relay, services, keyring
):
    issue = queue(services, 3)
    execute(services, update(Account).values(language="es"))
    clock.shift(5 * DAY)
    late = worker_with(keyring)
    late.drain()
    late.drain()
    assert is_late(services, issue)
    [question] = relay.accepted
    assert question.recipient == LEAD
    assert "no pudo salir ningún correo" in text_of(question.message)


def test_a_copy_deferred_for_one_member_expires_with_the_outage(clock, worker, relay, services):
    """All others have it; the rest of the issue is no reason to ask anybody."""
    issue = queue(services, 3)
    relay.script("RCPT member0@dpsk12.org", "451 4.7.1 Greylisted, try again later")
    worker.drain()
    relay.always("CONNECT", drop())
    clock.shift(5 * DAY)
    worker.drain()
    relay.usual()
    wait(clock, worker, 10)
    assert books(services, issue) == {"recipients": 3, "accepted": 2, "expired": 1}
    assert not is_late(services, issue)


def test_a_copy_put_off_when_its_issue_was_paused_waits_as_long_as_the_pause(
    clock, worker, relay, services
):
    issue = queue(services, 3)
    relay.script("RCPT member0@dpsk12.org", "451 4.7.1 Greylisted, try again later")
    worker.drain()
    with services.writing.begin() as session:
        pause.pause(session, issue)
        # Its answer came after the pause.
        session.execute(
            update(Delivery).where(Delivery.state == State.DEFERRED).values(due_at=now())
        )
    clock.shift(5 * DAY)
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 2, "deferred": 1}


@pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "2"}])
def test_a_quota_of_our_own_is_no_outage(clock, worker, relay, services):
    issue = queue(services, 5)
    for _ in range(80):
        worker.drain()
        clock.shift(HOUR)
    assert books(services, issue) == {"recipients": 5, "accepted": 5}
    assert len(relay.accepted) == 5


def test_a_limit_that_the_relay_names_is_no_outage_for_a_day(clock, worker, relay, services):
    issue = queue(services, 3)
    relay.always("MAIL", "550 5.4.5 Daily SMTP relay limit exceeded")
    for _ in range(20):
        worker.drain()
        clock.shift(HOUR)
    assert not is_late(services, issue)
    for _ in range(10):
        worker.drain()
        clock.shift(HOUR)
    assert is_late(services, issue)


def test_a_lead_who_has_decided_gets_no_question_about_it(clock, worker, relay, services):
    """The question waits for the relay as well; meanwhile the lead has read the page."""
    issue = queue(services, 1)
    relay.always("MAIL", AWAY)
    wait(clock, worker, 70)
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.stop)
    relay.usual()
    wait(clock, worker, 10)
    assert asked(relay) == 0


def test_a_leader_is_asked_whatever_marks_the_web_takes_away(clock, worker, relay, services):
    queue(services, 1)
    relay.always("MAIL", AWAY)
    wait(clock, worker, 70)
    execute(services, update(Newsletter).values(paused_at=None, is_late=False))
    relay.usual()
    wait(clock, worker, 10)
    assert asked(relay) == 1


def _go_on(services, issue: int) -> None:
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.resume)


def test_an_issue_queued_while_another_leaves_is_not_late(clock, worker, relay, services):
    first = queue(services, 1)
    worker.drain()
    clock.shift(3 * DAY)
    with services.writing.begin() as session:
        second = queue_issue(session).id
    worker.drain()
    assert books(services, first) == books(services, second) == {"recipients": 1, "accepted": 1}
    assert len(relay.accepted) == 2
