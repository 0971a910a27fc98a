"""Limits protect the person mailed and block nobody real: over one, mail waits."""

from datetime import timedelta

import time_machine
from sqlalchemy import func, select

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.groups import service as groups
from belong_mail.web.context import throttle, transaction
from tests.browser_client import Form, Visitor, link_to, text_of
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE, Scenario

JOIN = f"/groups/{VILLAGE}/join"
OUTSIDE = "203.0.113.7"
INSIDE = "127.0.0.1"


def ask(scenario: Scenario, times: int, slug: str = VILLAGE) -> None:
    path = f"/groups/{slug}/join"
    data = Form(scenario.visitor.open(path).text).fields | {"email": ADA}
    for _ in range(times):
        assert scenario.visitor.client.post(path, data=data).status_code == 303


def test_fifty_requests_make_one_mail(scenario):
    ask(scenario, 50)
    assert len(scenario.mails()) == 1
    ask(scenario, 5)
    assert len(scenario.mails()) == 1
    assert scenario.rows("deliveries") == 2, "one has gone, one waits for all the others"


def test_whoever_types_it_an_address_gets_three_mails_a_day_at_most(scenario):
    begun = now()
    for step in range(24):
        with time_machine.travel(begun + timedelta(minutes=59 * step)):
            ask(scenario, 1)
            scenario.worker.drain()
    assert 1 <= len(scenario.relay.to(ADA)) <= 3


def test_in_a_week_of_requests_it_is_about_one_a_day(scenario):
    begun = now()
    for day in range(7):
        for hour in (0, 8, 16):
            with time_machine.travel(begun + timedelta(days=day, hours=hour)):
                ask(scenario, 1)
                scenario.worker.drain()
    assert 7 <= len(scenario.relay.to(ADA)) <= 9


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


def test_after_all_groups_an_address_gets_a_few_mails_a_day(scenario):
    with scenario.services.reading.begin() as session:
        slugs = [group.slug for group in groups.listed(session) if group.is_open]
    begun = now()
    for hour in range(0, 48, 6):
        with time_machine.travel(begun + timedelta(hours=hour)):
            for slug in slugs:
                ask(scenario, 1, slug)
            scenario.worker.drain()
    assert len(scenario.relay.to(ADA)) <= 10 + 2 * 3


@on_both("limits")
def test_the_limits_survive_a_restart_of_the_worker(scenario):
    ask(scenario, 3)
    assert len(scenario.mails()) == 1
    scenario.engine.dispose()
    ask(scenario, 3)
    assert len(scenario.mails()) == 1


def typed_by_a_stranger(scenario: Scenario, times: int = 1, source: str = OUTSIDE) -> None:
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
        with scenario.services.reading.begin() as session:
            [latest] = session.scalars(select(func.max(Delivery.due_at)))
        assert latest is not None
        assert now() < latest <= now() + timedelta(days=1)
    with time_machine.travel(begun + timedelta(hours=31)):
        before = len(scenario.relay.to(ADA))
        assert len(scenario.mails()) > before


def due(scenario: Scenario) -> tuple[int, int]:
    """Count the requests that may be read now, and those that wait."""
    with scenario.services.reading.begin() as session:
        total = session.scalar(select(func.count(Job.id))) or 0
        ready = session.scalar(select(func.count(Job.id)).where(Job.due_at <= now())) or 0
    return ready, total - ready


def post_from(scenario: Scenario, source: str, times: int, slug: str = VILLAGE) -> None:
    path = f"/groups/{slug}/join"
    client = scenario.visitor.client.application.test_client(use_cookies=False)
    data = Form(Visitor(client).open(path).text).fields
    for number in range(times):
        answer = client.post(
            path,
            data=data | {"email": f"person{number}@dpsk12.org"},
            environ_base={"REMOTE_ADDR": source},
        )
        assert answer.status_code == 303


def test_a_whole_school_gets_through_at_once_and_a_flood_waits(scenario):
    begun = now()
    with time_machine.travel(begun, tick=False):
        post_from(scenario, INSIDE, 300)
        assert due(scenario) == (300, 0)
        post_from(scenario, OUTSIDE, 35)
        assert due(scenario) == (330, 5)
        post_from(scenario, "198.51.100.1", 1)
        assert due(scenario) == (331, 5)
    with time_machine.travel(begun + timedelta(minutes=2)):
        assert due(scenario) == (336, 0)


def waits(scenario: Scenario, source: str, times: int) -> int:
    """Count how many of so many requests from a source have to wait."""
    app = scenario.visitor.client.application
    with (
        app.test_request_context("/", method="POST", environ_base={"REMOTE_ADDR": source}),
        transaction() as session,
    ):
        return sum(throttle(session) > now() for _ in range(times))


def test_neighbours_in_an_ipv6_network_count_as_one_source(scenario):
    with time_machine.travel(now(), tick=False):
        assert waits(scenario, "2001:db8::1", 20) == 0
        assert waits(scenario, "2001:db8::ffff:2", 20) == 10
        assert waits(scenario, "2001:db8:0:1::1", 1) == 0


def test_the_districts_own_network_has_more_room(scenario):
    with time_machine.travel(now(), tick=False):
        assert waits(scenario, "127.0.0.1", 300) == 0
        assert waits(scenario, "127.0.0.1", 1) == 1


def test_a_new_day_gives_sources_new_names(scenario):
    waits(scenario, OUTSIDE, 1)
    before = scenario.rows("limits")
    with time_machine.travel(now() + timedelta(days=1)):
        waits(scenario, OUTSIDE, 1)
    assert scenario.rows("limits") == before + 1


def test_no_source_can_be_read_from_the_limits(scenario):
    post_from(scenario, OUTSIDE, 1)
    with scenario.services.reading.begin() as session:
        keys = session.connection().exec_driver_sql("SELECT key FROM limits").scalars().all()
    assert keys
    assert all(OUTSIDE.encode() not in bytes(key) for key in keys)


def test_a_header_does_not_make_somebody_a_new_source(scenario):
    client = scenario.visitor.client
    data = Form(scenario.visitor.open(JOIN).text).fields | {"email": ADA}
    before = scenario.rows("limits")
    for number in range(3):
        headers = {"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"}
        client.post(JOIN, data=data, headers=headers)
    assert scenario.rows("limits") == before + 1
