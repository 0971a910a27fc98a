"""An intruder's guesses in the database get few answers, and the operator hears."""

import json
from datetime import timedelta
from itertools import cycle

import pytest
import time_machine
from sqlalchemy import insert, select

from belong_mail.core import jobs
from belong_mail.core.db import now
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import UNUSUAL_LOOKUPS, WorkerLimit, record_use
from belong_mail.members.jobs import JoinByCode, SendStaffCode
from belong_mail.members.models import Subscription
from tests.browser_client import text_of
from tests.database import query
from tests.factories import group_named
from tests.markers import OPERATOR, alerted, periodic_tasks
from tests.scenario import ADA, drain_in

pytestmark = periodic_tasks

CODES = (SendStaffCode.kind, JoinByCode.kind)
UNUSUAL = "More people than usual asked to join, sign in or see their groups"


def guess(services, number: int, *kinds: str) -> None:
    """Write sealed guesses, as the web could, of these kinds in turn."""
    with services.writing.begin() as session:
        found = group_named(session, "lgbtq")
        group, of_group = found.id, found.public_id
        rows = []
        for each, kind in zip(range(number), cycle(kinds), strict=False):
            wanted = {"address": f"guess{each}@dpsk12.org", "language": "en"}
            more = {} if kind == "my-groups" else {"group": of_group}
            if kind == SendStaffCode.kind:
                more |= {"nonce": "", "source": ""}
            sealed = services.sealer.seal(json.dumps(wanted | more).encode(), sealed_for(kind))
            rows.append({"kind": kind, "group_id": group, "sealed": sealed})
        session.execute(insert(Job), rows)


def left(services) -> int:
    return len(query(services, select(Job.id)))


@alerted
def test_four_hundred_guesses_a_minute_are_answered_none_is_lost_and_the_operator_hears_once(
    services, worker, relay
):
    """Of all kinds together, each of which looks an address up."""
    guess(services, 850, "interest", "my-groups", *CODES)
    with time_machine.travel(now(), tick=False) as clock:
        for expected in (450, 50, 0, 0):
            worker.drain()
            assert left(services) == expected
            clock.shift(timedelta(minutes=1, seconds=1))
    [mail] = relay.to(OPERATOR)
    assert mail["Subject"] == UNUSUAL
    assert "take the website down" in text_of(mail)


def test_ten_thousand_a_day_are_answered_and_the_rest_waits(services, worker):
    guess(services, 20, "my-groups")
    with time_machine.travel(now(), tick=False) as clock:
        with services.writing.begin() as session:
            until = now() + timedelta(days=1, seconds=-87)
            session.add(WorkerLimit(key=jobs.DAY, used_until=until.timestamp()))
        for expected in (10, 0):
            worker.drain()
            assert left(services) == expected
            clock.shift(timedelta(minutes=2))


@alerted
@pytest.mark.parametrize(
    ("lookups", "days", "heard"),
    [
        (0, [70, 70, 370, 70, 70], []),
        (899, [100, 100, 100], []),
        (899, [102, 102, 102], [0]),
        (899, [600, 600, 600, 600, 600], [0, 2, 4]),
    ],
    ids=["a staff meeting", "a hundred", "more", "and again, counted from the last email"],
)
def test_more_than_a_hundred_guesses_a_day_are_told_however_long(
    lookups, days, heard, services, worker, relay
):
    told: list[int] = []
    begun = now()
    for day, number in enumerate(days):
        with time_machine.travel(begun + timedelta(days=day), tick=False):
            with services.writing.begin() as session:
                jobs.count_lookups(session, number + (lookups if day == 0 else 0), now())
            worker.drain()
        if len(relay.to(OPERATOR)) > len(told):
            told.append(day)
    assert told == heard
    assert {mail["Subject"] for mail in relay.to(OPERATOR)} <= {UNUSUAL}


@alerted
def test_each_guess_counts_among_them(services, worker, relay):
    guess(services, 50, "my-groups")
    with services.writing.begin() as session:
        record_use(session, jobs.NOTICE, UNUSUAL_LOOKUPS, now(), UNUSUAL_LOOKUPS.burst - 50)
    worker.drain()
    assert left(services) == 0
    drain_in(worker, minutes=1)
    assert [mail["Subject"] for mail in relay.to(OPERATOR)] == [UNUSUAL]


@alerted
def test_a_staff_meeting_at_one_moment_is_no_alarm_and_nobody_waits(services, worker, relay):
    """Nor does an honest person who joins from outside, beside a flood of thirty forms."""
    guess(services, 300 + 30 + 1, "join")
    with time_machine.travel(now(), tick=False):  # else a busy machine is given more meanwhile
        worker.drain()
    assert left(services) == 0
    assert relay.to(OPERATOR) == []
    assert len(query(services, select(Subscription.id))) == 331


def test_a_confirmation_and_its_introduction_do_not_wait_behind_guesses(
    scenario, visitor, services
):
    with time_machine.travel(now(), tick=False):  # else a busy machine reads more meanwhile
        scenario.invite_lead("lead@dpsk12.org")
        link = scenario.confirm_link(introduce_me="y", first_name="Ada")
        guess(services, 550, "my-groups")
        scenario.worker.drain()
        visitor.follow(link)
        scenario.worker.drain()
        assert left(services) >= 100
        assert "Ada" in text_of(scenario.relay.to("lead@dpsk12.org")[-1])
        assert "Ada" in text_of(scenario.relay.to(ADA)[-1])
