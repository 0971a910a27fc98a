"""A member's own calendar: it says where the group meets, to its members and to nobody else."""

import re
from datetime import timedelta

import pytest
from ical.calendar_stream import IcsCalendarStream
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.meetings.models import Meeting
from belong_mail.members.models import Subscription
from tests.browser_client import html_of, link_to, path_of, text_of
from tests.factories import change_group, group_named, plan_meeting
from tests.scenario import ADA

WEEK = timedelta(days=7)
DAY = now().date() + WEEK
PLACE = "Room 4, behind the library"
LINK = "https://meet.example.org/tea"
WITH_PLACE = "Add all meetings to my calendar, with the location"


@pytest.fixture
def scenario(scenario):
    """A scenario in which two groups meet, and say where to members alone."""
    for slug, title in (("the-village", "Tea"), ("asian", "Walk"), ("lgbtq", "Rainbow")):
        said = {"title": {"en": title}, "contact": f"Ana of {title}"}
        scenario.do(plan_meeting, slug, starts_on=DAY, repeats="weekly", **said)
    return scenario


def events(text: str):
    return list(IcsCalendarStream.calendar_from_ics(text).events)


def main_of(page: str) -> str:
    return page.partition("<main")[2].partition("</main>")[0]


def change(scenario, **values: object) -> None:
    """Change Ada's one membership behind everybody's back."""
    with scenario.services.writing.begin() as session:
        [ada] = session.scalars(select(Subscription).where(Subscription.is_active))
        for name, value in values.items():
            setattr(ada, name, value)


def calendar_link(scenario, slug: str = "the-village") -> str:
    return link_to(scenario.enter(slug=slug), "my-calendar")


def test_the_page_after_joining_and_the_welcome_email_bring_dates_with_place_and_link(scenario):
    page = scenario.visitor.follow(scenario.confirm_link()).text
    assert PLACE in page
    [day] = re.findall(r'href="(/my-calendar/[^"]+)"', page)
    [event] = events(scenario.visitor.open(day).text)
    assert event.location == PLACE
    mail = scenario.mails()[-1]
    link = link_to(mail, "my-calendar")
    assert f"{WITH_PLACE}:" in text_of(mail)
    assert WITH_PLACE in html_of(mail)
    for words in (text_of(mail), html_of(mail)):
        assert words.count(PLACE) == 3
        assert LINK in words
        assert "Tea" in words
    assert not re.search("Village|Tea|Room", f"{mail['Subject']} {mail['From']}")
    forwarded = scenario.visitor.open(link_to(mail, "leave")).text
    assert not re.search(f"{PLACE}|{LINK}", forwarded), "a newsletter may be forwarded"
    assert not re.search("village|ada[@%]|dpsk12", link, re.IGNORECASE)
    answer = scenario.visitor.open(link)
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="meetings.ics"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    [event] = events(answer.text)
    assert (event.summary, event.location, event.url) == ("The Village: Tea", PLACE, LINK)
    assert f"Join online: {LINK}" in (event.description or "")
    assert "Ana of Tea" in (event.description or "")


def test_my_groups_offers_it_and_each_date_by_itself(scenario):
    calendar_link(scenario)
    scenario.visitor.send("/my-groups", email=ADA)
    page = scenario.visitor.open(link_to(scenario.mails()[-1], "my-groups")).text
    assert WITH_PLACE in page
    links = re.findall(r'href="(/my-calendar/[^"]+)"', page)
    days = [link for link in links if ".ics" in link]
    [whole] = set(links) - set(days)
    [series] = events(scenario.visitor.open(whole).text)
    assert series.location == PLACE
    assert series.rrule
    assert len(days) == 3
    for day in days:
        answer = scenario.visitor.open(day)
        [event] = events(answer.text)
        assert (event.location, event.rrule) == (PLACE, None)
        assert answer.headers["Content-Disposition"] == 'attachment; filename="meeting.ics"'
    assert "/meetings/" not in page, "the public entry has no place"
    assert page.count(PLACE) == 3
    assert f'href="{LINK}" rel="noreferrer"' in page


def test_another_groups_meetings_are_not_in_it(scenario):
    link = calendar_link(scenario)
    text = scenario.visitor.open(link).text
    assert not re.search("Walk|Rainbow", text)
    other = scenario.do(plan_meeting, "asian", starts_on=DAY).public_id
    own = scenario.do(plan_meeting, "the-village", starts_on=DAY).public_id
    token = path_of(link).partition("?")[0]
    assert scenario.visitor.open(f"{token}/{own}/{DAY}.ics").status_code == 200
    for wrong in (f"{other}/{DAY}", f"nobody/{DAY}", f"{own}/{DAY + timedelta(1)}", f"{own}/today"):
        assert scenario.visitor.open(f"{token}/{wrong}.ics").status_code == 404, wrong


@pytest.mark.parametrize("end", ["leaves", "is erased", "moves", "joins again", "retires"])
def test_it_tells_nothing_once_the_membership_is_over(scenario, end):
    """A pause does not end it."""
    link = calendar_link(scenario)
    change(scenario, paused_until=now() + WEEK)
    [meeting_id] = re.findall(r"UID:(\S+)", scenario.visitor.open(link).text)
    if end == "retires":
        scenario.do(change_group, "the-village", retired_at=now())
        assert events(scenario.visitor.open(link).text) == []
        return
    changed: dict[str, dict[str, object]] = {
        "leaves": {"ended_at": now()},
        "is erased": {"is_suppressed": True},
        "moves": {"address_index": b"another"},
        "joins again": {"confirmed_at": now() + WEEK},
    }
    change(scenario, **changed[end])
    day = f"{path_of(link).partition('?')[0]}/{meeting_id}/{DAY}.ics?lang=en"
    bent = scenario.visitor.open(link.replace("/my-calendar/", "/my-calendar/x"))
    assert "until they leave or change their email address" in bent.text
    for gone in (link, day):
        answer = scenario.visitor.open(gone)
        assert (answer.status_code, main_of(answer.text)) == (404, main_of(bent.text))
        assert not re.search("Room 4|Village|Tea", answer.text)


def test_a_discreet_groups_calendar_says_where_and_never_of_what(scenario):
    link = calendar_link(scenario, "lgbtq")
    text = scenario.visitor.open(link).text
    [event] = events(text)
    assert (event.summary, event.location) == ("Belong meeting", PLACE)
    assert event.description == f"Join online: {LINK}"
    assert not re.search("lgbtq|Rainbow|Ana", text, re.IGNORECASE)
    assert "Reunión de Belong" in scenario.visitor.open(link.replace("lang=en", "lang=es")).text


def test_where_a_discreet_group_meets_is_left_out_of_its_calendar_if_it_names_it(scenario):
    link = calendar_link(scenario, "lgbtq")
    with scenario.services.writing.begin() as session:
        found = select(Meeting).where(Meeting.group == group_named(session, "lgbtq"))
        meeting = session.scalars(found).one()
        meeting.place, meeting.link = "The LGBTQ+ room", "https://meet.example.org/j/l%67btq-belong"
    [event] = events(scenario.visitor.open(link).text)
    assert (event.location, event.url) == (None, None)
    assert event.description == "Members get the location by email."
