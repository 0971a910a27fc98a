"""The feeds, read by a second implementation of RFC 5545: `ical`, with a parser of its own.

Both expand rules by dateutil; that those are right is shown in test_days by a walk of our own.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream
from ical.event import EventStatus
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.groups.models import Group
from belong_mail.meetings import ical, recurrence
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting
from tests.browser_client import link_to
from tests.database import do
from tests.factories import change_group, group_named, plan_meeting

DENVER = ZoneInfo("America/Denver")
FIRST, LAST = date(2026, 1, 1), date(2037, 12, 31)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
# In Denver, as the last day is: there it ends seven hours later than in UTC.
LONG_AGO, FAR_AHEAD = NEW_YEAR, datetime(2038, 1, 1, tzinfo=DENVER)
FEED = "/groups/the-village/calendar.ics"
TUESDAY = date(2026, 12, 8)


def read(text: str):
    return IcsCalendarStream.calendar_from_ics(text)


def held(calendar) -> list[tuple[datetime, datetime]]:
    """Return when the other implementation thinks that something is held, in UTC."""
    found = calendar.timeline_tz(UTC).included(LONG_AGO, FAR_AHEAD)
    return sorted(
        (each.start.astimezone(UTC), each.end.astimezone(UTC))
        for each in found
        if isinstance(each.start, datetime) and isinstance(each.end, datetime)
        if each.status != EventStatus.CANCELLED
    )


def ours(meeting: Meeting) -> list[tuple[datetime, datetime]]:
    found = recurrence.occurrences(meeting, DENVER, FIRST, LAST)
    return [
        (each.starts.astimezone(UTC), each.ends.astimezone(UTC))
        for each in found
        if not each.is_cancelled
    ]


def events(text: str):
    return list(read(text).events)


def unfolded(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")


def stored(services, slug: str = "the-village", **planned: object) -> str:
    return do(services, plan_meeting, slug, **{"starts_on": TUESDAY, **planned}).public_id


def the(session, public_id: str) -> Meeting:
    return session.scalars(select(Meeting).where(Meeting.public_id == public_id)).one()


RULES = st.sampled_from([rule for rule in recurrence.RULES if rule != "monthly-last"])
PLANS = st.fixed_dictionaries({
    "starts_on": st.dates(date(2026, 1, 1), date(2031, 12, 28)).filter(lambda day: day.day <= 28),
    "starts_at": st.builds(time, st.integers(3, 20), st.sampled_from([0, 15, 30])),
    "repeats": RULES,
    "length": st.one_of(st.none(), st.integers(0, 2000)),
    "away": st.sets(st.integers(0, 30), max_size=6),
    "cancelled": st.sets(st.integers(0, 30), max_size=3),
    "moved": st.dictionaries(st.integers(0, 30), st.integers(-3, 3), max_size=3),
})  # fmt: skip


def planned(plan: dict[str, Any]) -> Meeting:
    """Build a meeting that nobody stored."""
    starts_on, starts_at, repeats = plan["starts_on"], plan["starts_at"], plan["repeats"]
    length = None if repeats == "once" else plan["length"]
    meeting = Meeting(
        public_id="meeting",
        group=Group(slug="the-village", name="The Village", position=1),
        title={},
        starts_on=starts_on,
        starts_at=starts_at,
        ends_at=starts_at.replace(hour=starts_at.hour + 2),
        repeats=repeats,
        until=None if length is None else starts_on + timedelta(days=length),
        exceptions=[],
        place="",
        link="",
        contact="",
        is_open=False,
        spoken="en",
        access=[],
        has_families=False,
        sequence=0,
        changed_at=NEW_YEAR,
    )
    days = list(islice(recurrence.days(meeting, FIRST), 31))
    taken = {days[each].isoformat() for each in plan["away"] if each < len(days)}
    meeting.exceptions = sorted(taken) if repeats != "once" else []
    return meeting


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLANS)
def test_another_calendar_finds_the_same_hours_from_2026_to_2037(plan):
    meeting = planned(plan)
    days = list(islice(recurrence.days(meeting, FIRST), 31))
    for number, shift in plan["moved"].items():
        if number < len(days):
            moved_to = {"held_on": days[number] + timedelta(shift), "starts_at": time(9)}
            meetings.change_day(meeting, days[number], **moved_to, ends_at=time(10))
    for number in plan["cancelled"]:
        if number < len(days):
            meetings.cancel_day(meeting, days[number])
    written = ical.calendar_of_meetings([meeting], DENVER, "en", "Calendar").decode()
    assert held(read(written)) == ours(meeting)


def test_the_zone_in_the_feed_changes_its_clocks_when_denver_does():
    """Found by reading the rules of the VTIMEZONE alone, not the zone's name."""
    lines = unfolded(ical.calendar_of_meetings([], DENVER, "en", "Calendar").decode())
    parts = " ".join(lines)
    rules = re.findall(
        r"BEGIN:(DAYLIGHT|STANDARD) DTSTART:\d{8}T(\d{6}) RRULE:FREQ=YEARLY;BYDAY=(\d)SU;"
        r"BYMONTH=(\d+) TZNAME:M.T TZOFFSETFROM:(.\d{4}) TZOFFSETTO:(.\d{4})",
        parts,
    )
    assert len(rules) == 2
    for year in range(2026, 2038):
        for _kind, clock, place, month, before, after in rules:
            first = date(year, int(month), 1)
            day = first + timedelta((6 - first.weekday()) % 7 + 7 * (int(place) - 1))
            at = datetime.combine(day, time(int(clock[:2])), UTC) - hours(before)
            just_before, just_after = at - timedelta(seconds=1), at
            assert just_before.astimezone(DENVER).utcoffset() == hours(before)
            assert just_after.astimezone(DENVER).utcoffset() == hours(after)


def hours(text: str) -> timedelta:
    return timedelta(hours=int(text[:3]))


def test_a_meeting_keeps_its_name_and_numbers_its_changes(visitor, services):
    public_id = stored(services, repeats="weekly", changed_at=NEW_YEAR)
    [first] = events(visitor.open(FEED).text)
    with services.writing.begin() as session:
        meetings.cancel_day(the(session, public_id), TUESDAY + timedelta(7))
    with services.writing.begin() as session:
        meetings.change(the(session, public_id), starts_at=time(15))
    changed = events(visitor.open(FEED).text)
    assert {each.uid for each in (first, *changed)} == {public_id}
    assert (first.sequence, {each.sequence for each in changed}) == (0, {2})
    assert all(each.dtstamp > first.dtstamp for each in changed)
    with services.writing.begin() as session:
        meetings.cancel(the(session, public_id))
    assert {each.status for each in events(visitor.open(FEED).text)} == {EventStatus.CANCELLED}


def test_one_day_that_is_cancelled_or_moved_reaches_calendars_under_its_own_name(visitor, services):
    public_id = stored(services, repeats="weekly", exceptions=["2026-12-29"])
    with services.writing.begin() as session:
        meeting = the(session, public_id)
        meetings.cancel_day(meeting, date(2026, 12, 15))
        other = {"held_on": date(2026, 12, 23), "starts_at": time(9), "ends_at": time(10)}
        meetings.change_day(meeting, date(2026, 12, 22), **other)
    lines = unfolded(visitor.open(FEED).text)
    assert "RECURRENCE-ID;TZID=America/Denver:20261215T160000" in lines
    assert "RECURRENCE-ID;TZID=America/Denver:20261222T160000" in lines
    assert "EXDATE;TZID=America/Denver:20261229T160000" in lines
    assert lines.count("STATUS:CANCELLED") == 1
    begins = [start.astimezone(DENVER) for start, _end in held(read("\r\n".join(lines)))[:3]]
    assert [f"{each:%m-%d %H}" for each in begins] == ["12-08 16", "12-23 09", "01-05 16"]


def test_details_for_members_alone_are_in_no_feed(visitor, services):
    public_id = stored(services, contact="Ana in room 9")
    for path in ("/calendar.ics", FEED, f"/meetings/{public_id}/{TUESDAY}.ics"):
        text = " ".join(unfolded(visitor.open(path).text))
        assert public_id in text
        assert not [word for word in ("Room 4", "meet.example", "Ana") if word in text]
    with services.writing.begin() as session:
        the(session, public_id).is_open = True
    text = " ".join(unfolded(visitor.open(FEED).text))
    assert all(word in text for word in ("Room 4", "https://meet.example.org/tea", "Ana"))


@pytest.mark.parametrize("slug", ["lgbtq", "people-with-disabilities", "autoimmune"])
def test_a_discreet_group_says_belong_meeting_and_nothing_else(visitor, services, slug):
    title = {"en": "Rainbow tea", "es": "Té arcoíris"}
    said = {"title": title, "is_open": True, "contact": "Ana", "access": ["asl"]}
    public_id = stored(services, slug, **said, repeats="weekly")
    with services.reading.begin() as session:
        name = group_named(session, slug).name
    one_day = f"/meetings/{public_id}/{TUESDAY}.ics"
    for path in ("/calendar.ics", f"/groups/{slug}/calendar.ics", one_day):
        text = visitor.open(path).text
        [event] = events(text)
        assert event.summary == "Belong meeting"
        assert (event.location, event.description, event.url) == (None, None, None)
        secrets = (name, slug, "Rainbow", "Room 4", "Ana", "meet.example", "Sign Language")
        assert not [word for word in secrets if word in text]
        assert "Reunión de Belong" in visitor.open(f"{path}?lang=es").text


def test_the_feed_of_all_groups_holds_each_groups_meetings_and_a_retired_one_has_none(
    visitor, lead, services
):
    *_, own = ids = [stored(services, slug) for slug in ("asian", "lgbtq", "the-village")]
    assert {each.uid for each in events(visitor.open("/calendar.ics").text)} == {*ids}
    assert lead.open(f"/lead/meetings/{own}").status_code == 200
    assert len(events(visitor.open(FEED).text)) == 1
    do(services, change_group, "the-village", retired_at=now())
    assert len(events(visitor.open("/calendar.ics").text)) == 2
    assert visitor.open(FEED).status_code == 404
    assert lead.open(f"/lead/meetings/{own}").status_code == 404


def test_one_day_is_an_event_of_its_own_in_a_file_that_names_nothing(visitor, services):
    public_id = stored(services, repeats="weekly")
    answer = visitor.open(f"/meetings/{public_id}/2026-12-15.ics")
    [event] = events(answer.text)
    assert event.rrule is None
    assert event.uid == f"{public_id}-20261215"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="meeting.ics"'
    for day in ("2026-12-16", "20261215", "2026-W51-2", "today", "9999-12-31", "2026-02-31"):
        assert visitor.open(f"/meetings/{public_id}/{day}.ics").status_code == 404, day
    assert visitor.open(f"/meetings/nobody/{TUESDAY}.ics").status_code == 404


def test_a_feed_is_well_formed_private_and_names_no_person(visitor, services):
    stored(services, title={"en": "Tea, cake; and\\more", "es": "Té"}, is_open=True)
    answer = visitor.open(FEED)
    assert answer.content_type == "text/calendar; charset=utf-8"
    body = answer.get_data()
    with time_machine.travel(now() + timedelta(days=1)):
        assert visitor.open(FEED).get_data() == body, "only what changes is new to a calendar"
    assert body.count(b"\n") == body.count(b"\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 75
    [event] = events(body.decode())
    assert event.summary == "The Village: Tea, cake; and\\more"
    assert not re.search("ORGANIZER|ATTENDEE|mailto|VALARM", body.decode())
    assert "CLASS:PRIVATE" in body.decode(), "colleagues see no more than that one is busy"
    assert "METHOD:PUBLISH" in body.decode()


@pytest.mark.parametrize(
    "bad",
    [
        {"link": "https://meet.example.org/\r\nX-EVIL:1"},
        {"repeats": "EVIL"},
        {"title": {"en": "EVIL\x0b"}},
        {"contact": "EVIL\x7f"},
    ],
)
@pytest.mark.usefixtures("clock")
def test_a_meeting_that_cannot_be_written_is_left_out_of_every_calendar(scenario, caplog, bad):
    """One row, by whoever writes rows, took the whole district's calendar away."""
    services, visitor = scenario.services, scenario.visitor
    stored(services, title={"en": "Good"})
    own = link_to(scenario.enter(), "my-calendar")
    public_id = stored(services, **{"title": {"en": "Bad"}, "is_open": True, **bad})
    for path in ("/calendar.ics", FEED, own):
        answer = visitor.open(path)
        assert answer.status_code == 200, path
        assert "Good" in answer.text
        assert not re.search("Bad|EVIL", answer.text)
    assert "is left out of calendars" in caplog.text
    assert visitor.open(f"/meetings/{public_id}/{TUESDAY}.ics").status_code == 404
    do(services, change_group, "the-village", name="The\x0bVillage")
    assert visitor.open(FEED).status_code == 200
