"""The day-before reminder: only for who asked, once, and never after leaving."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting
from belong_mail.members import reminders
from belong_mail.members.models import Subscription
from tests.browser_client import html_of, link_to, text_of
from tests.counting import listening
from tests.factories import make_member, plan_meeting
from tests.markers import on_both
from tests.overlapping import do_twice_at_once
from tests.scenario import ADA

BEN = "ben@dpsk12.org"
# Eight in the morning in Denver, the day before the meeting.
MONDAY = datetime(2026, 12, 7, 15, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
TUESDAY = (MONDAY + timedelta(1)).date()


@pytest.fixture
def scenario(clock, scenario):
    """Ada wants reminders, Ben does not; The Village meets tomorrow at four."""
    clock.move_to(MONDAY)
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, ADA).is_reminded = True
        make_member(session, scenario.keyring, BEN)
        plan_meeting(session, starts_on=TUESDAY, repeats="weekly", title={"en": "Tea"})
    return scenario


def due(scenario) -> None:
    """Let the worker look for reminders, as it does every minute."""
    with scenario.services.writing.begin() as session:
        reminders.queue_due(scenario.worker.work_in(session))


def mails(scenario, address: str = ADA):
    due(scenario)
    return [each for each in scenario.mails(address) if each["Subject"] == "A meeting is coming up"]


def meeting(scenario) -> Meeting:
    return scenario.query(select(Meeting))[0]


def change(scenario, **values: object) -> None:
    """Change Ada's membership behind the worker's back."""
    with scenario.services.writing.begin() as session:
        [ada] = session.scalars(select(Subscription).where(Subscription.is_reminded))
        for name, value in values.items():
            setattr(ada, name, value)


def states(scenario) -> list[str]:
    found = select(Delivery.state).where(Delivery.kind == reminders.REMINDER)
    return scenario.query(found.order_by(Delivery.id))


def test_a_member_who_asked_gets_one_quiet_reminder_with_time_and_place_a_day_before(
    scenario, clock
):
    assert mails(scenario) == []
    clock.shift(HOUR)
    [mail] = mails(scenario)
    assert mails(scenario, BEN) == []
    text = text_of(mail)
    for words in ("Tuesday, December 8, 2026, 4:00 – 5:00 PM", "Tea", "Room 4", "The Village"):
        assert words in text
    headers = "\n".join(f"{name}: {value}" for name, value in mail.items())
    assert not re.search(r"\b(village|tea|room)\b", headers, re.IGNORECASE)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert link_to(mail, "leave")


@on_both("an insert of each dialect")
def test_a_member_is_reminded_of_a_day_only_once_however_often_the_worker_looks(scenario, clock):
    clock.shift(HOUR)
    for _ in range(3):
        assert len(mails(scenario)) == 1
        clock.shift(HOUR)
    clock.move_to(MONDAY + timedelta(days=1, hours=2))
    assert len(mails(scenario)) == 1
    clock.move_to(MONDAY + timedelta(days=7, hours=2))
    assert len(mails(scenario)) == 2


@on_both("races")
def test_two_workers_at_once_remind_once(scenario, clock):
    clock.shift(HOUR)
    do_twice_at_once(
        scenario.services, lambda session: reminders.queue_due(scenario.worker.work_in(session))
    )
    assert len(states(scenario)) == 1


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "http://meet.example.org/tea",
        "https://meet.example.org@evil.example/tea",
        "https://bit.ly/3x",
    ],
)
def test_a_link_that_no_newsletter_may_have_is_left_out(scenario, clock, link):
    """The form refuses it; whoever writes the row is not asked."""
    with scenario.services.writing.begin() as session:
        session.scalars(select(Meeting)).one().link = link
    clock.shift(HOUR)
    [mail] = mails(scenario)
    assert "Room 4" in text_of(mail)
    assert "Join online" not in text_of(mail) + html_of(mail)
    assert link.partition(":")[2] not in text_of(mail) + html_of(mail)


@pytest.mark.parametrize(
    "changed",
    [{"paused_until": MONDAY + timedelta(30)}, {"is_reminded": False}, {"ended_at": MONDAY}],
)
def test_a_pause_and_a_changed_mind_count_at_the_last_moment(scenario, clock, changed):
    clock.shift(HOUR)
    due(scenario)
    change(scenario, **changed)
    assert mails(scenario) == []
    assert states(scenario) == ["withdrawn"]


def test_a_cancelled_day_is_not_reminded_of_and_a_moved_one_on_its_new_day(scenario, clock):
    clock.shift(HOUR)
    due(scenario)
    with scenario.services.writing.begin() as session:
        each = session.scalars(select(Meeting)).one()
        meetings.cancel_day(each, TUESDAY)
    assert mails(scenario) == []
    assert states(scenario) == ["withdrawn"]
    with scenario.services.writing.begin() as session:
        each = session.scalars(select(Meeting)).one()
        other = {"starts_at": time(9), "ends_at": time(10), "place": "Room 9", "link": ""}
        meetings.change_day(each, TUESDAY, held_on=TUESDAY + timedelta(2), **other)
    clock.shift(timedelta(2))
    [mail] = mails(scenario)
    assert "Thursday, December 10, 2026, 9:00 – 10:00 AM" in text_of(mail)
    assert "Room 9" in text_of(mail)


def test_a_meeting_of_today_is_still_told_after_downtime_unless_it_has_begun(scenario, clock):
    clock.move_to(MONDAY + timedelta(days=1, hours=7, minutes=59))
    due(scenario)
    assert states(scenario) == ["queued"]
    clock.shift(timedelta(minutes=2))
    assert mails(scenario) == []
    assert states(scenario) == ["expired"]


def test_a_meeting_that_cannot_be_read_stops_no_other_groups_reminders(scenario, clock, caplog):
    clock.shift(HOUR)
    scenario.do(plan_meeting, slug="asian", starts_on=TUESDAY, repeats="x")
    assert len(mails(scenario)) == 1
    assert "is left out: " in caplog.text


def test_the_worker_itself_looks_and_a_reminder_speaks_the_members_language(scenario, clock):
    change(scenario, language="es")
    clock.shift(HOUR)
    [mail] = scenario.mails()
    assert mail["Subject"] == "Se acerca una reunión"
    assert "Martes 8 de diciembre de 2026, 4:00 – 5:00 p. m." in text_of(mail)


def test_no_meeting_is_loaded_that_is_not_held_in_these_days(scenario):
    """Each minute the worker looks; single days are found wherever they are moved to."""
    hours = {"starts_at": time(9), "ends_at": time(10), "place": "", "link": ""}
    before, after, loaded = TUESDAY - WEEK, TUESDAY + WEEK, list[Meeting]()

    with scenario.services.writing.begin() as session:
        plan_meeting(session, starts_on=before, until=TUESDAY, repeats="weekly")
        for start in (before, after):
            moved = plan_meeting(session, starts_on=start, until=start, repeats="weekly")
            meetings.change_day(moved, start, held_on=TUESDAY, **hours)
            plan_meeting(session, starts_on=start, until=start, repeats="weekly")
    noting = listening(Meeting, "load", lambda meeting, _context: loaded.append(meeting))
    with noting, scenario.services.reading.begin() as session:
        zone = scenario.services.settings.timezone
        held = meetings.held_between(session, zone, TUESDAY, TUESDAY)
    # The first is the scenario's.
    assert sorted(each.meeting.id for each in held) == [1, 2, 3, 5]
    assert len(loaded) == 4
