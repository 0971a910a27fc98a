"""The calendar's pages, and where else members and leads meet the next dates."""

import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import text

from belong_mail.core.db import now
from belong_mail.meetings import recurrence
from belong_mail.meetings import service as meetings
from belong_mail.ops import demo_data, rooms
from tests.browser_client import Form
from tests.database import do, execute
from tests.db_dump import dump_of, kept_of
from tests.factories import plan_meeting
from tests.newsletters.writing import begin, write

PLACE = "Room 4, behind the library"
LINK = "https://meet.example.org/tea"
NOON = datetime(2026, 12, 1, 19, 0, tzinfo=UTC)


@pytest.fixture
def scenario(scenario):
    """A scenario in which The Village meets every second week."""
    scenario.do(plan_meeting, repeats="weekly-2", title={"en": "Tea", "es": "Té"})
    return scenario


def test_anyone_sees_dates_by_group_and_month(visitor, services):
    with time_machine.travel(NOON, tick=False):
        do(services, plan_meeting, repeats="weekly-2")
        do(services, plan_meeting, "asian", title={"en": "Walk"})
        page = visitor.open("/calendar").text
        for words in ("December 2026", "January 2027", "February 2027", "The Village", "Walk"):
            assert words in page
        only = visitor.open("/calendar?group=asian").text
        assert "Walk" in only
        assert re.search(r'href="/calendar/20\d\d-\d\d\?group=asian"', only)
        assert ">Belong meeting<" not in only
        assert visitor.open("/calendar?group=nobody").status_code == 404
        assert visitor.open("/calendar?group=%27").status_code == 404


def test_the_dates_come_before_how_to_subscribe_and_who_else_may_know(visitor, services):
    do(services, plan_meeting, repeats="weekly-2")
    page = visitor.open("/calendar?lang=en").text
    dates, _, below = page.partition("<aside>")
    assert "/meetings/" in dates
    assert '<a href="#subscribe">' in dates
    assert 'id="subscribe"' in below
    assert 'href="webcal://localhost:5000/calendar.ics?lang=en"' in below
    assert "<code>http://localhost:5000/calendar.ics?lang=en</code>" in below
    for name in ("Google Calendar", "Outlook on the web", "iPhone, iPad, or Mac"):
        assert f"<summary>{name}</summary>" in below
    assert "village/calendar.ics" not in page
    one = visitor.open("/calendar?group=the-village&lang=en").text
    assert 'href="webcal://localhost:5000/groups/the-village/calendar.ics?lang=en"' in one
    assert "doesn’t reveal which group" in one
    for words in (
        "This site doesn’t record who looks.", "network", "history",
        "the company or employer that runs your calendar",
    ):  # fmt: skip
        assert words in page


def test_a_meeting_whose_words_are_odd_is_shown_with_those_that_are_not(visitor, services):
    do(services, plan_meeting)
    odd = "UPDATE meetings SET spoken = 'x', access = '5', exceptions = '[5]'"
    execute(services, text(odd))
    page = visitor.open("/calendar?group=the-village&lang=en").text
    assert "In another language" in page
    assert "/meetings/" in page


def test_an_empty_calendar_says_so_in_a_sentence(visitor, services):
    assert "No group has meetings planned yet." in visitor.open("/calendar").text
    assert "No meetings are planned in December 2026." in visitor.open("/calendar/2026-12").text
    do(services, plan_meeting, "asian")
    page = visitor.open("/calendar?group=the-village").text
    assert "This group has no meetings planned yet." in page
    assert "See the meetings of all groups" in page


def test_reading_the_calendar_leaves_no_cookie_row_or_log_line(scenario, lead, app, caplog):
    before = kept_of(scenario.services)
    caplog.set_level(logging.DEBUG)
    client = app.test_client()
    paths = ("/calendar", "/calendar?group=the-village", "/calendar/2026-12", "/calendar.ics",
             "/groups/the-village/calendar.ics")  # fmt: skip
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert answer.data == lead.open(path).data, "a lead gets the same"
    assert client.get_cookie("belong") is None
    assert caplog.records == []
    assert kept_of(scenario.services) == before


def test_a_month_stands_on_one_sheet(visitor, services):
    with time_machine.travel(NOON, tick=False), services.writing.begin() as session:
        plan_meeting(session, repeats="weekly-2", is_open=True)
    page = visitor.open("/calendar/2026-12").text
    assert page.count("<tr>") == 6
    assert re.findall(r'<th scope="col">(\w+)</th>', page)[0] == "Sunday"
    assert page.count("4:00 – 5:00 PM") == 2
    assert page.count(PLACE) == 2
    assert "diciembre de 2026" in visitor.open("/calendar/2026-12?lang=es").text
    for month in ("2026-13", "2026-1", "x", "2019-12", "2038-01", "2026-12-01"):
        assert visitor.open(f"/calendar/{month}").status_code == 404, month
    for month in ("2020-01", "2037-12"):
        assert visitor.open(f"/calendar/{month}").status_code == 200
    for more, density in ((0, "roomy"), (13, "crowded"), (9, "packed")):
        for _ in range(more):
            do(services, plan_meeting, starts_on=NOON.date(), is_open=True)
        assert f'class="month {density}"' in visitor.open("/calendar/2026-12").text


def test_place_and_link_are_on_no_public_page_unless_anyone_may_see_them(scenario):
    month = f"{now():%Y-%m}"
    paths = ("/calendar", "/groups/the-village", f"/calendar/{month}")
    for path in paths:
        page = scenario.visitor.open(path).text
        assert PLACE not in page
        assert LINK not in page
    assert "Members get the location by email." in scenario.visitor.open("/groups/the-village").text


def test_a_meeting_is_the_next_one_until_it_ends(services):
    zone = services.settings.timezone
    with services.writing.begin() as session:
        meeting = plan_meeting(session)
        ends = datetime.combine(meeting.starts_on, meeting.ends_at, zone)
        for at, number in ((ends - timedelta(minutes=1), 1), (ends, 0)):
            assert len(meetings.next_held(session, zone, at, 9, meeting.group)) == number


def test_a_lead_puts_the_next_meetings_into_an_issue_in_its_languages(lead, services):
    page = write(lead, text="Come.", subject_es="Hola", text_es="Ven.")
    lead.send(page, meetings="1")
    assert Form(lead.open(page).text).fields["text"] == "Come.", "there are none"
    do(services, plan_meeting, repeats="weekly-2", title={"en": "Tea", "es": "Té"})
    assert lead.send(page, text="Come all.", meetings="1").status_code == 303
    written = Form(lead.open(page).text).fields
    assert written["text"].startswith("Come all.\n\n## The next meetings")
    assert written["text"].count(f"Tea. {PLACE} [Join online](<{LINK}>)") == 4
    assert written["text_es"].startswith("Ven.\n\n## Las próximas reuniones")
    assert written["text_es"].count("Té. ") == 4
    assert f'href="{LINK}"' in lead.press(f"{page}/preview", **written).text
    empty = begin(lead)
    lead.send(empty, meetings="1")
    assert "## The next meetings" in Form(lead.open(empty).text).fields["text"]


def test_a_meeting_is_forgotten_ninety_days_after_its_last_day_or_its_cancellation(services):
    today = now().date()
    with services.writing.begin() as session:
        plan_meeting(session, starts_on=today)
        plan_meeting(session, starts_on=today, repeats="weekly", until=today + timedelta(30))
        meetings.cancel(plan_meeting(session, starts_on=today, repeats="weekly"))
        plan_meeting(session, starts_on=today, repeats="weekly")
        moved = plan_meeting(session, starts_on=today)
        meetings.change_day(moved, today, held_on=today + timedelta(40))
    left = []
    for days in (89, 92, 122, 132, 4000):
        with time_machine.travel(now() + timedelta(days)), services.writing.begin() as session:
            rooms.purge_all(session)
        left.append(len(dump_of(services)["meetings"]))
    assert left == [5, 3, 2, 1, 1]


def test_the_sample_has_three_months_of_meetings_and_says_so(scenario):
    scenario.do(demo_data.fill_demo, scenario.keyring)
    today = now().date()
    with scenario.services.reading.begin() as session:
        found = [each for each in meetings.listed(session) if "Room 4 (sample)" in each.place]
        days = {each.group.slug: len(list(recurrence.days(each, today))) for each in found}
    assert days.keys() == {"the-village", "asian", "lgbtq"}
    assert days["the-village"] >= 6
    assert all("(sample)" in each.title["en"] for each in found)
    assert scenario.visitor.open("/calendar").text.count("(sample)") >= 10
