"""Leads enter, change and cancel meetings, in words; what cannot be is explained and kept."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting
from tests.browser_client import Form
from tests.db_dump import dump_of
from tests.factories import plan_meeting
from tests.markers import on_both

NEW = "/lead/groups/the-village/meetings/new"
LIST = "/lead/groups/the-village/meetings"
FULL = {
    "title_en": "Tea",
    "title_es": "Té",
    "starts_on": "2026-12-08",
    "starts_at": "16:00",
    "ends_at": "17:00",
    "repeats": "weekly-2",
    "until": "2027-06-02",
    "exceptions": "2026-12-22",
    "place": "Room 4",
    "link": "https://meet.example.org/tea",
    "contact": "Ana, room 9",
    "is_open": "anyone",
    "spoken": "both",
    "access": ["asl", "captions"],
    "has_families": "y",
}
WEEK_BEFORE = datetime(2026, 12, 1, 19, tzinfo=UTC)
IN_WORDS = "Every other Tuesday, 4:00 – 5:00 PM, until June 2, 2027, except on December 22"


@pytest.fixture(autouse=True)
def _clock():
    """Whenever these tests run, the first day is to come."""
    with time_machine.travel(WEEK_BEFORE):
        yield


@pytest.fixture
def page(lead, services) -> str:
    assert lead.send(NEW, **FULL).status_code == 303
    return f"/lead/meetings/{only(services).public_id}"


def only(services) -> Meeting:
    with services.reading.begin() as session:
        [meeting] = session.scalars(select(Meeting))
        return meeting


def count(services) -> int:
    return len(dump_of(services)["meetings"])


def plain(page: str) -> str:
    return re.sub("<[^>]+>", "", page)


def test_a_saved_meeting_is_on_the_calendar_in_the_leads_words(lead, visitor, services):
    assert Form(lead.open(NEW).text).fields["is_open"] == "members"
    answer = lead.send(NEW, **FULL)
    assert answer.status_code == 303
    assert f"{IN_WORDS} Tea" in plain(lead.open(answer.location).text), "people look for a date"
    assert "Tue, December 8 4:00 – 5:00 PM · Tea" in plain(lead.open("/lead/").text)
    meeting = only(services)
    assert (meeting.place, meeting.spoken, meeting.has_families) == ("Room 4", "both", True)
    assert (meeting.is_open, meeting.access) == (True, ["asl", "captions"])
    shown = visitor.open("/groups/the-village").text
    assert "Tuesday, December 8, 2026, 4:00 – 5:00 PM" in plain(shown)
    assert "Location: Room 4" in shown
    assert "Ana, room 9" in shown
    assert "Familias bienvenidas" in visitor.open("/groups/the-village?lang=es").text
    assert Form(lead.open(f"/lead/meetings/{meeting.public_id}").text).fields["is_open"] == "anyone"


@pytest.mark.parametrize(
    ("language", "first", "exceptions", "wrong", "said"),
    [
        ("en", "12/8/2026", "12/22/2026", "12/23/2026", "There’s no meeting on December 23, 2026"),
        ("es", "8/12/2026", "22/12/2026", "23/12/2026", "El 23 de diciembre de 2026 no hay"),
    ],
)
def test_days_are_typed_and_shown_as_people_write_them(
    lead, services, language, first, exceptions, wrong, said
):
    typed = {**FULL, "starts_on": first, "exceptions": exceptions, "is_open": "members"}
    assert lead.send(f"{NEW}?lang={language}", **typed).status_code == 303
    meeting = only(services)
    assert (str(meeting.starts_on), meeting.exceptions) == ("2026-12-08", ["2026-12-22"])
    assert not meeting.is_open
    page = f"/lead/meetings/{meeting.public_id}?lang={language}"
    assert Form(lead.open(page).text).fields["exceptions"] == exceptions
    assert said in lead.send(page, exceptions=wrong).text


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "31 February": ({"starts_on": "2027-02-31"}, "Choose a date, like 12/31/2027."),
    "a day that is over": ({"starts_on": "2026-11-24"}, "This day is over."),
    "no day": ({"starts_on": ""}, "Choose a date."),
    "too far": ({"until": "2126-12-08"}, "Choose a date before 2038."),
    "no time": ({"starts_at": "25:00"}, "Enter a time, like 4:30 PM."),
    "end at start": ({"ends_at": "16:00"}, "The end time must be later than the start time."),
    "until before the first": ({"until": "2026-12-01"}, "This is before the first date."),
    "once and until": ({"repeats": "once", "exceptions": ""}, "A one-time meeting doesn’t need"),
    "a fifth weekday": (
        {"repeats": "monthly", "starts_on": "2026-12-29", "exceptions": ""},
        "Not every month has a fifth Tuesday.",
    ),
    "not the last": (
        {"repeats": "monthly-last", "exceptions": ""},
        "This date isn’t the last Tuesday of the month.",
    ),
    "no exception": (
        {"exceptions": "2026-12-23"},
        "There’s no meeting on December 23, 2026 anyway.",
    ),
    "an exception in words": ({"exceptions": "Feb 30"}, "“Feb 30” isn’t a date."),
    "too many exceptions": (
        {"exceptions": "\n".join(f"2027-01-{day:02}" for day in range(1, 32)) + "\n"
         + "\n".join(f"2027-03-{day:02}" for day in range(1, 32))},
        "That’s too many dates. Enter 40 at most.",
    ),
    "nothing left": (
        {"until": "2026-12-08", "exceptions": "2026-12-08"},
        "With these exceptions, no dates are left.",
    ),
    "a time that is skipped": (
        {"repeats": "once", "until": "", "exceptions": "", "starts_on": "2027-03-14",
         "starts_at": "02:30", "ends_at": "04:00"},
        "Clocks go forward on March 14, 2027",
    ),
    "a Sunday that is skipped some day": (
        {"repeats": "weekly", "until": "", "exceptions": "", "starts_on": "2026-12-13",
         "starts_at": "02:30", "ends_at": "04:00"},
        "Clocks go forward on March 14, 2027",
    ),
    "a mail address": ({"contact": "ana@dpsk12.org"}, "Leave out email addresses."),
    "an address as place": ({"place": "ask ana@dpsk12.org"}, "Leave out email addresses."),
    "no https": ({"link": "http://meet.example.org"}, "Enter a web address that starts with https://."),
    "a site that passes on": (
        {"link": "https://bit.ly/3x"},
        "A link goes through “bit.ly”, which sees who follows it.",
    ),
    "a user": (
        {"link": "https://dpsk12.org@x.net/"}, "Enter a web address that starts with https://."
    ),
    "a long place": ({"place": "x" * 201}, "Use at most 200 characters."),
    "a hidden turn": ({"title_en": "Tea\u202e"}, "This contains a character we can’t read."),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_impossible_meeting_is_explained_and_everything_typed_stays(lead, services, wrong):
    typed, expected = BAD[wrong]
    page = lead.send(NEW, **{**FULL, **typed})
    assert page.status_code == 422
    assert expected in page.text
    kept = Form(page.text).fields
    for name, value in {**FULL, **typed}.items():
        given = kept.get(name, "")
        assert str(given).replace("\r\n", "\n") == str(value) or value == "", name
    assert count(services) == 0


def test_errors_are_listed_as_their_fields_stand_on_the_page(lead):
    wrong = ("title_en", "starts_on", "starts_at", "place")
    page = lead.send(NEW, **{**FULL, **dict.fromkeys(wrong, "x\u202e")}).text
    summary = page.partition('id="problem"')[2].partition("</ul>")[0]
    assert re.findall('href="#(.+?)"', summary) == [*wrong]


@pytest.mark.parametrize("typed", ["4:30 PM", "4:30pm", "04:30 p. m.", "16:30"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_may_be_typed_as_people_say_it(lead, services, typed):
    assert lead.send(NEW, **{**FULL, "starts_at": typed}).status_code == 303
    assert f"{only(services).starts_at:%H:%M}" == "16:30"


def test_a_whole_meeting_can_change_after_it_has_begun_except_its_first_day(lead, services):
    with services.writing.begin() as session:
        plan_meeting(session, starts_on=date(2026, 11, 3), repeats="weekly", place="Room 4")
    page = f"/lead/meetings/{only(services).public_id}"
    assert Form(lead.open(page).text).fields["place"] == "Room 4"
    assert lead.send(page, place="Room 5").status_code == 303
    assert lead.send(page, place="Room 6", starts_on="2026-11-10").status_code == 422
    assert (only(services).place, only(services).sequence) == ("Room 5", 1)


def test_all_of_a_meeting_is_cancelled_and_can_be_held_after_all(lead, page, visitor, services):
    assert "Cancel the whole series …" in lead.open(page).text
    assert lead.act(f"{page}/cancel").status_code == 303
    lead.act(f"{page}/cancel")
    assert "Cancel the whole series" not in lead.open(page).text
    assert only(services).cancelled_at is not None
    assert only(services).sequence == 1
    assert visitor.open("/calendar").text.count("<strong>Canceled</strong>") >= 4
    assert lead.send(page).status_code == 303
    assert only(services).cancelled_at is None
    assert "Canceled" not in visitor.open("/calendar").text


@on_both("days and times")
def test_one_day_is_moved_and_cancelled_and_held_as_usual(lead, page, visitor, services):
    day = f"{page}/2026-12-08"
    moved = {"held_on": "2026-12-09", "starts_at": "09:00", "ends_at": "10:00", "place": "Room 7"}
    listed = plain(lead.open(lead.send(day, **moved).location).text)
    now_said = "December 8, 2026 is now Wednesday, December 9, 2026, 9:00 – 10:00 AM, Room 7."
    assert listed.count(now_said) == 2, "in the notice and in the list"
    shown = visitor.open("/groups/the-village").text
    assert "Wednesday, December 9, 2026, 9:00 – 10:00 AM" in plain(shown)
    assert "Tuesday, December 8" not in shown
    assert "Changed from the regular schedule" in shown
    assert "Location: Room 7" in shown
    assert f'formaction="{day}/cancel"' in lead.open(day).text, "a date that was moved too"
    listed = lead.open(lead.act(f"{day}/cancel").location).text
    assert plain(listed).count("is canceled.") == 2
    assert f'action="{day}/restore"' in listed
    assert "<strong>Canceled</strong>" in lead.open(day).text
    assert f'formaction="{day}/restore"' in lead.open(day).text
    shown = visitor.open("/groups/the-village").text
    assert "Canceled" in shown
    assert shown.count("Add to my calendar:") == meetings.NEXT - 1, "nobody adds what is canceled"
    assert "<em>Canceled</em>" in visitor.open("/calendar/2026-12").text
    poster = visitor.open("/groups/the-village/poster").text
    assert poster.count("4:00 – 5:00 PM") == meetings.NEXT, "the next that take place"
    assert lead.send(day, **moved).status_code == 303
    assert "Canceled" not in visitor.open("/groups/the-village").text
    assert (
        f'<a href="{page}">Restore this meeting</a>'
        in lead.open(lead.act(f"{page}/cancel").location).text
    )
    assert "Changed from the regular" not in visitor.open("/groups/the-village").text
    lead.send(page)
    lead.send(day, **moved)
    listed = plain(lead.open(lead.act(f"{day}/restore").location).text)
    assert listed.count("Tuesday, December 8, 2026 is now 4:00 – 5:00 PM") == 1
    shown = visitor.open("/groups/the-village").text
    assert "Tuesday, December 8, 2026, 4:00 – 5:00 PM" in plain(shown)
    assert "Canceled" not in shown
    assert only(services).sequence == 7


def test_a_date_that_is_restored_leaves_another_as_it_is(lead, page, visitor):
    for press in ("2027-01-05/cancel", "2026-12-08/cancel", "2026-12-08/restore"):
        assert lead.act(f"{page}/{press}").status_code == 303
    assert "Canceled" in visitor.open("/groups/the-village").text


def test_a_day_that_cannot_be_moved_so_says_why_and_none_of_the_meeting_is_not_there(
    lead, page, services
):
    day = f"{page}/2026-12-08"
    for typed, expected in (
        ({"held_on": "2026-11-30"}, "This day is over."),
        ({"held_on": "2099-01-01"}, "Choose a date before 2038."),
        ({"ends_at": "15:00"}, "The end time must be later than the start time."),
        (
            {"held_on": "2027-03-14", "starts_at": "02:30", "ends_at": "05:00"},
            "Clocks go forward on March 14, 2027",
        ),
    ):
        answer = lead.send(day, **typed)
        assert answer.status_code == 422
        assert expected in answer.text
        for name, value in typed.items():
            assert Form(answer.text).fields[name] == value
    assert only(services).sequence == 0
    for other in ("2026-12-09", "2026-12-22", "2026-02-31", "today", "20261208x"):
        assert lead.open(f"{page}/{other}").status_code == 404, other
        assert lead.act(f"{page}/{other}/cancel").status_code == 404, other


def test_a_changed_rule_forgets_what_was_special_about_days_that_are_none_any_more(lead, services):
    lead.send(NEW, **{**FULL, "repeats": "weekly", "exceptions": ""})
    page = f"/lead/meetings/{only(services).public_id}"
    for day in ("2026-12-15", "2026-12-22"):
        lead.act(f"{page}/{day}/cancel")
    lead.send(page, repeats="weekly-2")
    kept = [row[2] for row in dump_of(services)["meeting_changes"]]
    assert [str(day) for day in kept] == ["2026-12-22"]


def test_a_series_that_becomes_a_single_meeting_is_held_as_its_form_says(lead, visitor, services):
    lead.send(NEW, **{**FULL, "exceptions": ""})
    page = f"/lead/meetings/{only(services).public_id}"
    moved = {"held_on": "2026-12-09", "starts_at": "09:00", "ends_at": "10:00"}
    lead.send(f"{page}/2026-12-08", **moved)
    assert lead.send(page, repeats="once", until="").status_code == 303
    shown = plain(visitor.open("/groups/the-village").text)
    assert "Tuesday, December 8, 2026, 4:00 – 5:00 PM" in shown
    assert "December 9" not in shown


def test_the_list_goes_by_the_next_date_on_which_a_meeting_takes_place(lead, services):
    with services.writing.begin() as session:
        days = {"Moved": 8, "Canceled": 9, "As planned": 16, "Over": 2, "Called off": 10}
        for title, day in days.items():
            first = date(2026, 12, day)
            meeting = plan_meeting(session, starts_on=first, title={"en": title}, repeats="weekly")
            if title == "Moved":
                meeting.until = first
                meetings.change_day(meeting, first, held_on=date(2026, 12, 18))
            elif title == "Canceled":
                meeting.until = date(2026, 12, 20)
                meetings.cancel_day(meeting, first)
                meetings.change_day(meeting, date(2026, 12, 16), held_on=date(2026, 12, 17))
            elif title == "Over":
                meeting.until = first - timedelta(days=2)
            elif title == "Called off":
                meetings.cancel(meeting)
    titles = re.findall(r'</strong> <span class="hint"[^>]*>(.+?)</span>', lead.open(LIST).text)
    assert titles == ["As planned", "Canceled", "Moved", "Called off", "Over"]


def test_saving_a_meeting_that_another_leader_changed_meanwhile_shows_the_stored_one(
    lead, page, services
):
    mine = Form(lead.open(page).text).fields | {"title_en": "Coffee"}
    lead.send(page, place="Room 9", title_en="Tea and cake")
    told = lead.press(page, **mine)
    assert told.status_code == 409
    assert "Someone else changed this meeting in the meantime." in told.text
    assert "<strong>Tea and cake</strong>" in told.text
    assert "Room 9" in told.text
    kept = Form(told.text).fields
    assert (kept["title_en"], kept["place"]) == ("Coffee", "Room 4")
    assert only(services).title["en"] == "Tea and cake"
    turned = lead.press(f"{page}?lang=es", **mine, switch_language="es")
    assert lead.press(page, **Form(turned.text).fields).status_code == 409, "also after a switch"
    assert lead.press(page, **kept).status_code == 303
    assert (only(services).title["en"], only(services).place) == ("Coffee", "Room 4")


def test_saving_a_day_that_another_leader_changed_meanwhile_shows_the_stored_one(lead, page):
    page = f"{page}/2026-12-08"
    mine = Form(lead.open(page).text).fields | {"place": "Room 5"}
    lead.send(page, place="Room 9", starts_at="15:30")
    told = lead.press(page, **mine)
    assert told.status_code == 409
    assert "3:30 – 5:00 PM" in told.text
    assert "Room 9" in told.text
    kept = Form(told.text).fields
    assert (kept["place"], kept["starts_at"]) == ("Room 5", "16:00")
    assert lead.press(page, **kept).status_code == 303
    fields = Form(lead.open(page).text).fields
    assert (fields["place"], fields["starts_at"]) == ("Room 5", "16:00")
