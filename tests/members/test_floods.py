"""A flood of forms: its own source waits, then everybody a little, and nothing fills up."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, insert, select

from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import Limit, WorkerLimit
from belong_mail.delivery.models import Delivery
from belong_mail.groups import service as groups
from belong_mail.monitoring import alerts
from belong_mail.web.context import LONGEST_WAIT
from tests.browser_client import Form, Visitor, link_to, text_of
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE

JOIN = f"/groups/{VILLAGE}/join"
FLOODING, QUIET, INSIDE = "203.0.113.7", "198.51.100.1", "127.0.0.1"
LEAD = "lead@dpsk12.org"


# At once, and within the longest wait.
FORMS_OF_A_SOURCE = 75


def form(app, page: str = JOIN, **typed: str) -> dict[str, str]:
    return Form(Visitor(app.test_client()).open(page).text).fields | {"email": ADA} | typed


def post(app, source: str, fields: dict[str, str], page: str = JOIN):
    """Send a form; return the status, the page, and when what was stored last is due."""
    client = app.test_client(use_cookies=False)
    answer = client.post(page, data=fields, environ_overrides={"REMOTE_ADDR": source})
    after = int(answer.headers.get("Retry-After", 0))
    assert (answer.status_code in {429, 503}) == (after > 0)
    return answer.status_code, answer.text, now() + timedelta(seconds=after)


def requests(scenario):
    """List when the requests that wait are due."""
    return scenario.query(select(Job.due_at).order_by(Job.id))


def kept_until(scenario, table: rate_limits.Table):
    """Tell when the last count of a table is over."""
    with scenario.services.reading.begin() as session:
        return datetime.fromtimestamp(session.scalar(select(func.max(table.used_until))), UTC)


def fill_up(scenario, number: int) -> None:
    """Let so many requests wait, as if the worker had not run for a day."""
    later = {"kind": "join", "due_at": now() + timedelta(days=1), "failures": 0}
    with scenario.services.writing.begin() as session:
        session.execute(insert(Job), [later] * number)


def use_up(scenario, wait: timedelta) -> None:
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
            status, text, after = post(app, FLOODING, fields)
            assert status == 429
            assert "Please wait a moment" in text
            assert "isn’t lost" in text
        assert max(requests(scenario)) - now() <= LONGEST_WAIT
        assert kept_until(scenario, Limit) - now() <= timedelta(minutes=30)
        assert post(app, QUIET, fields)[0] == 303
        assert requests(scenario)[-1] <= now()
        assert len(requests(scenario)) == FORMS_OF_A_SOURCE + 1
    with time_machine.travel(after + timedelta(seconds=1)):
        assert post(app, FLOODING, fields)[0] == 303, "what was refused has cost nothing"
    assert len(requests(scenario)) == FORMS_OF_A_SOURCE + 2


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
        assert post(app, INSIDE, fields)[0] == 303, "the district's own network is not put off"
        assert requests(scenario)[-1] <= now()


@on_both("counts")
def test_forms_cannot_fill_the_database(app, scenario):
    fill_up(scenario, 20_000)
    before = scenario.rows("limits")
    for page in (JOIN, "/my-groups", "/sign-in", "/groups/autoimmune/tell-me"):
        for source in (QUIET, INSIDE):
            assert post(app, source, form(app, page), page)[0] == 503
    message = form(app, "/contact", topic="need", message="Hello.")
    assert post(app, QUIET, message, "/contact")[0] == 503
    assert len(requests(scenario)) == 20_000
    assert scenario.rows("limits") == before
    assert scenario.rows("contact_messages") == 0


def test_as_the_line_grows_each_source_has_less_of_it(app, scenario):
    fields = form(app)
    fill_up(scenario, 10_000)
    with time_machine.travel(now(), tick=False):
        answers = [post(app, FLOODING, fields)[0] for _ in range(FORMS_OF_A_SOURCE // 10 + 5)]
    assert answers.count(303) == FORMS_OF_A_SOURCE // 10


def test_a_lead_who_is_known_signs_in_through_any_flood(app, scenario):
    scenario.invite_lead(LEAD)
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=LEAD)
    lead.press(link_to(scenario.mails(LEAD)[-1], "sign-in"))
    fill_up(scenario, 20_000)
    use_up(scenario, LONGEST_WAIT)
    assert lead.send("/sign-in", email=LEAD).status_code == 303
    assert len(scenario.mails(LEAD)) == 2


@pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": "operator@example.org"}])
def test_the_operator_hears_of_a_flood(scenario):
    with scenario.services.writing.begin() as session:
        for read, told in ((1_000, 0), (3_000, 1)):
            jobs.count_read(session, read, now())
            alerts.send_alerts(scenario.worker.work_in(session), [alerts.BY_NAME["flooded"]])
            found = select(func.count(Delivery.id)).where(Delivery.kind == alerts.ALERT)
            assert session.scalar(found) == told


# Limits protect the person mailed and block nobody real: over one, mail waits.


def ask(scenario, times: int, slug: str = VILLAGE) -> None:
    path = f"/groups/{slug}/join"
    data = Form(scenario.visitor.open(path).text).fields | {"email": ADA}
    for _ in range(times):
        assert scenario.visitor.client.post(path, data=data).status_code == 303


@on_both("limits")
def test_fifty_requests_make_one_mail_also_after_a_restart_of_the_worker(scenario):
    ask(scenario, 50)
    assert len(scenario.mails()) == 1
    scenario.engine.dispose()
    ask(scenario, 5)
    assert len(scenario.mails()) == 1
    assert scenario.rows("deliveries") == 2, "one has gone, one waits for all the others"


@pytest.mark.parametrize(
    ("gap", "times", "least", "most"),
    [(timedelta(minutes=59), 24, 1, 3), (timedelta(hours=8), 21, 7, 9)],
    ids=["in a day", "in a week"],
)
def test_an_address_gets_three_emails_a_day_then_one_at_most_whoever_types_it(
    scenario, gap, times, least, most
):
    begun = now()
    for step in range(times):
        with time_machine.travel(begun + step * gap):
            ask(scenario, 1)
            scenario.worker.drain()
    assert least <= len(scenario.relay.to(ADA)) <= most


def test_a_plus_tag_is_no_other_person_for_a_limit(scenario):
    for address in ("ada+a@dpsk12.org", "ada+b+c@dpsk12.org") * 3:
        scenario.visitor.send("/my-groups", email=address)
    for hour, most in enumerate((5 + 1, 5 + 2, 5 + 2)):
        with time_machine.travel(now() + timedelta(hours=hour)):
            for number in range(12):
                scenario.visitor.join(VILLAGE, f"ada+{hour}{number}@dpsk12.org")
            scenario.worker.drain()
            assert len(scenario.relay.accepted) == most
    scenario.visitor.client.environ_base["REMOTE_ADDR"] = QUIET
    with time_machine.travel(now() + timedelta(hours=3)):
        scenario.visitor.join(VILLAGE, "ada@dpsk12.org")
        scenario.worker.drain()
    with time_machine.travel(now() + timedelta(hours=28)):
        scenario.worker.drain()
        assert "ada@dpsk12.org" in [each.recipient for each in scenario.relay.accepted]


def test_one_address_can_join_every_group_in_a_day(scenario):
    with scenario.services.writing.begin() as session:
        for slug in ("ninth", "tenth"):
            groups.add(session, slug, slug, "", is_upcoming=False)
            session.flush()
        slugs = [group.slug for group in groups.listed(session) if group.is_open]
    assert len(slugs) == 10
    for slug in slugs:
        ask(scenario, 1, slug)
    assert len(scenario.mails()) == 10


def typed_by_a_stranger(scenario, times: int = 1, source: str = FLOODING) -> None:
    """Let somebody type Ada's address into the form of every group."""
    with scenario.services.reading.begin() as session:
        slugs = [group.slug for group in groups.listed(session) if group.is_open]
    for slug in slugs:
        path = f"/groups/{slug}/join"
        data = Form(scenario.visitor.open(path).text).fields | {"email": ADA}
        for _ in range(times):
            scenario.visitor.client.post(path, data=data, environ_overrides={"REMOTE_ADDR": source})
            scenario.worker.drain()


def test_a_stranger_who_types_an_address_all_day_delays_nothing_of_its_owner(scenario):
    """The stranger's own limits hold back what they ask, not what Ada asks from elsewhere."""
    begun = now()
    for hour in (0, 1, 2):
        with time_machine.travel(begun + timedelta(hours=hour)):
            typed_by_a_stranger(scenario, times=3)
    with time_machine.travel(begun + timedelta(hours=3), tick=False):
        before = len(scenario.relay.to(ADA))
        scenario.visitor.join(VILLAGE, ADA, first_name="Ada")
        assert len(scenario.mails()) == before + 1
        link = link_to(scenario.mails()[-1], "confirm")
    with time_machine.travel(begun + timedelta(hours=4)):
        scenario.visitor.follow(link)
        assert "Ada" in text_of(scenario.mails()[-1])


def test_strangers_everywhere_delay_a_confirmation_by_a_day_at_most(scenario):
    begun = now()
    for number in range(6):
        with time_machine.travel(begun + timedelta(hours=number)):
            typed_by_a_stranger(scenario, source=f"203.0.113.{number}")
    assert len(scenario.relay.to(ADA)) <= 24
    with time_machine.travel(begun + timedelta(hours=6), tick=False):
        ask(scenario, 1)
        scenario.worker.drain()
        [latest] = scenario.query(select(func.max(Delivery.due_at)))
        assert now() < latest <= now() + timedelta(days=1)
        assert kept_until(scenario, WorkerLimit) <= now() + timedelta(days=9)
    with time_machine.travel(begun + timedelta(hours=31)):
        before = len(scenario.relay.to(ADA))
        assert len(scenario.mails()) > before


def due(scenario) -> tuple[int, int]:
    """Count the requests that may be read now, and those that wait."""
    found = requests(scenario)
    ready = sum(each <= now() for each in found)
    return ready, len(found) - ready


def post_from(app, source: str, times: int) -> None:
    fields = form(app)
    for number in range(times):
        assert post(app, source, fields | {"email": f"person{number}@dpsk12.org"})[0] == 303


def test_a_whole_school_gets_through_at_once_and_a_flood_waits(app, scenario):
    begun = now()
    with time_machine.travel(begun, tick=False):
        post_from(app, INSIDE, 300)
        assert due(scenario) == (300, 0)
        post_from(app, FLOODING, 35)
        assert due(scenario) == (330, 5)
        post_from(app, QUIET, 1)
        assert due(scenario) == (331, 5)
        post_from(app, INSIDE, 1)
        assert due(scenario) == (331, 6)
    with time_machine.travel(begun + timedelta(minutes=2)):
        assert due(scenario) == (337, 0)


def test_no_source_can_be_read_from_the_limits_and_a_new_day_gives_it_a_new_name(app, scenario):
    post_from(app, FLOODING, 1)
    keys = scenario.query(select(Limit.key))
    assert keys
    assert all(FLOODING.encode() not in bytes(key) for key in keys)
    with time_machine.travel(now() + timedelta(days=1)):
        post_from(app, FLOODING, 1)
    assert scenario.rows("limits") == len(keys) + 1


def test_a_header_does_not_make_somebody_a_new_source(scenario):
    client = scenario.visitor.client
    data = Form(scenario.visitor.open(JOIN).text).fields | {"email": ADA}
    before = scenario.rows("limits")
    for number in range(3):
        headers = {"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"}
        client.post(JOIN, data=data, headers=headers)
    assert scenario.rows("limits") == before + 1
