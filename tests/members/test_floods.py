"""A flood of forms: its own source waits, then everybody a little, and nothing fills up."""

from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, insert, select, update

from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import JOBS_RATE, Limit
from belong_mail.delivery.models import Delivery, State
from belong_mail.monitoring import alerts
from belong_mail.monitoring.checks import CHECKS
from belong_mail.monitoring.measures import Site
from belong_mail.web.context import LONGEST_WAIT
from tests.browser_client import Form, Visitor, link_to
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE, Scenario

JOIN = f"/groups/{VILLAGE}/join"
FLOODING, QUIET = "203.0.113.7", "198.51.100.1"
LEAD = "lead@dpsk12.org"
OPERATOR = "operator@example.org"
FLOODED = next(check for check in CHECKS if check.name == "flooded")
# At once, and within the longest wait.
FORMS_OF_A_SOURCE = 75


def form(app: Flask, page: str = JOIN, **typed: str) -> dict[str, str]:
    return Form(Visitor(app.test_client()).open(page).text).fields | {"email": ADA} | typed


def post(
    app: Flask, source: str, fields: dict[str, str], page: str = JOIN
) -> tuple[int, str, datetime | None]:
    """Send a form; return the status, the page, and when what was stored last is due."""
    client = app.test_client(use_cookies=False)
    answer = client.post(page, data=fields, environ_overrides={"REMOTE_ADDR": source})
    after = int(answer.headers.get("Retry-After", 0))
    assert (answer.status_code in {429, 503}) == (after > 0)
    return answer.status_code, answer.text, now() + timedelta(seconds=after)


def requests(scenario: Scenario) -> list[datetime]:
    """List when the requests that wait are due."""
    with scenario.services.reading.begin() as session:
        return list(session.scalars(select(Job.due_at).order_by(Job.id)))


def fill_up(scenario: Scenario, number: int) -> None:
    """Let so many requests wait, as if the worker had not run for a day."""
    later = {"kind": "join", "due_at": now() + timedelta(days=1), "failures": 0}
    with scenario.services.writing.begin() as session:
        session.execute(insert(Job), [later] * number)


def use_up(scenario: Scenario, wait: timedelta) -> None:
    """Let forms of strangers everywhere have to wait for so long."""
    until = (
        now().timestamp() + rate_limits.ALL_FORMS_RATE.per.total_seconds() + wait.total_seconds()
    )
    with scenario.services.writing.begin() as session:
        session.merge(Limit(key=rate_limits.ALL_FORMS, used_until=until))


def test_one_sources_flood_delays_nobody_elses_confirmation(app, scenario):
    """It put an honest person's email 23 minutes off; and its own wait had no end."""
    fields = form(app)
    with time_machine.travel(now(), tick=False):
        for _ in range(FORMS_OF_A_SOURCE):
            assert post(app, FLOODING, fields)[0] == 303
        for _ in range(20):
            assert post(app, FLOODING, fields)[0] == 429
        assert max(requests(scenario)) - now() <= LONGEST_WAIT
        assert post(app, QUIET, fields)[0] == 303
        assert requests(scenario)[-1] <= now()
        assert len(requests(scenario)) == FORMS_OF_A_SOURCE + 1
    with time_machine.travel(now() + timedelta(minutes=5)):
        assert post(app, FLOODING, fields)[0] == 303, "what was refused has cost nothing"


@pytest.mark.parametrize(
    ("language", "said", "kept"),
    [("en", "Please wait a moment", "isn’t lost"), ("es", "Espera un momento", "no se perdió")],
)
def test_what_is_refused_is_said_with_a_time_and_can_be_sent_again(
    language, said, kept, app, scenario
):
    fields = form(app)
    page = f"{JOIN}?lang={language}"
    with time_machine.travel(now(), tick=False):
        while post(app, FLOODING, fields, page)[0] == 303:
            pass
        status, text, after = post(app, FLOODING, fields, page)
    assert status == 429
    assert said.lower() in text.lower()
    assert kept in text
    assert after is not None
    before = len(requests(scenario))
    with time_machine.travel(after + timedelta(seconds=1)):
        assert post(app, FLOODING, fields, page)[0] == 303, "the browser sends it once more"
    assert len(requests(scenario)) == before + 1


@on_both("limits")
def test_a_flood_from_everywhere_puts_strangers_off_and_then_refuses_them(app, scenario):
    fields = form(app)
    with time_machine.travel(now(), tick=False):
        use_up(scenario, timedelta(minutes=10))
        assert post(app, QUIET, fields)[0] == 303
        assert timedelta(minutes=9) < requests(scenario)[-1] - now() <= LONGEST_WAIT
        use_up(scenario, LONGEST_WAIT)
        status, text, _ = post(app, QUIET, fields)
        assert status == 503
        assert "Try again in" in text
        assert len(requests(scenario)) == 1
        assert post(app, "127.0.0.1", fields)[0] == 303, "the district's own network is not put off"
        assert requests(scenario)[-1] <= now()


@on_both("counts")
def test_forms_cannot_fill_the_database(app, scenario):
    fields = form(app)
    fill_up(scenario, rate_limits.MAX_WAITING_JOBS)
    before = scenario.rows("limits")
    for page in (JOIN, "/my-groups", "/sign-in", "/groups/autoimmune/tell-me"):
        assert post(app, QUIET, form(app, page), page)[0] == 503
    message = form(app, "/contact", topic="need", message="Hello.")
    assert post(app, QUIET, message, "/contact")[0] == 503
    assert len(requests(scenario)) == rate_limits.MAX_WAITING_JOBS
    assert scenario.rows("limits") == before
    assert scenario.rows("contact_messages") == 0
    assert fields


def test_as_the_line_grows_each_source_has_less_of_it(app, scenario):
    fields = form(app)
    fill_up(scenario, rate_limits.BUSY_WAITING_JOBS)
    with time_machine.travel(now(), tick=False):
        answers = [post(app, FLOODING, fields)[0] for _ in range(FORMS_OF_A_SOURCE // 10 + 5)]
    assert answers.count(303) == FORMS_OF_A_SOURCE // 10


def test_a_lead_who_is_known_signs_in_through_any_flood(app, scenario):
    scenario.invite_lead(LEAD)
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=LEAD)
    lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in"))
    fill_up(scenario, rate_limits.MAX_WAITING_JOBS)
    use_up(scenario, LONGEST_WAIT)
    assert lead.send("/sign-in", email=LEAD).status_code == 303
    assert len(scenario.mails(LEAD)) == 2


def test_the_operator_hears_of_a_flood_once(scenario):
    services = scenario.services

    def count(number: int) -> None:
        with services.writing.begin() as session:
            jobs.count_read(session, number, now())

    def told() -> int:
        with services.writing.begin() as session:
            site = Site(session, services.settings, now())
            alerts.send_alerts(site, scenario.keyring, [OPERATOR], [FLOODED])
            found = select(func.count(Delivery.id)).where(Delivery.kind == alerts.ALERT)
            return session.scalar(found) or 0

    assert told() == 0
    count(JOBS_RATE.burst)
    assert told() == 1
    assert told() == 1
    with scenario.services.writing.begin() as session:
        session.execute(update(Delivery).values(state=State.ACCEPTED, due_at=None))
    with time_machine.travel(now() + timedelta(hours=7)):
        assert told() == 1
        count(JOBS_RATE.burst)
        assert told() == 2


def test_who_says_never_again_many_times_leaves_one_request(scenario):
    link = link_to(scenario.ask(), "not-me")
    for _ in range(5):
        assert scenario.visitor.follow(link, choice="never").status_code == 200
    assert len(requests(scenario)) == 1
    before = len(scenario.mails())
    scenario.visitor.join(VILLAGE, ADA)
    assert len(scenario.mails()) == before
