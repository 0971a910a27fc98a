"""A rule's days and words, against a reference that walks through every day of twelve years."""

from datetime import UTC, date, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.core import i18n
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings.models import Meeting
from tests.browser_client import read

DENVER = ZoneInfo("America/Denver")
DAY = timedelta(days=1)
WEEKS = {"weekly": 1, "weekly-2": 2, "weekly-3": 3, "weekly-4": 4}
LAST = date(2037, 12, 31)


def meeting(**planned: object) -> Meeting:
    usual = {
        "starts_on": date(2026, 12, 8),
        "starts_at": time(16),
        "ends_at": time(17),
        "repeats": "weekly-2",
        "until": None,
        "exceptions": [],
        "place": "",
        "link": "",
        "title": {},
    }
    return Meeting(**{**usual, **planned})


def rule_text(held: Meeting, language: str) -> str:
    return read(formatting.rule_text(held, language))


def walked(first: date, repeats: str, until: date) -> list[date]:
    """Look at each day in turn and ask whether the rule means it; no arithmetic of recurrences."""
    found = []
    for number in range((until - first).days + 1):
        day = first + number * DAY
        if day.weekday() != first.weekday():
            continue
        in_month = [
            other
            for other in (day.replace(day=n) for n in range(1, 29))
            if other.weekday() == day.weekday() and other <= day
        ]
        is_last = (day + 7 * DAY).month != day.month
        assert recurrence.is_last(day) == is_last
        if repeats in WEEKS:
            is_meant = (number // 7) % WEEKS[repeats] == 0
        elif repeats == "monthly":
            place = sum(1 for n in range(1, first.day + 1) if (first.day - n) % 7 == 0)
            is_meant = len(in_month) == place and day.day <= 28
        else:
            is_meant = is_last
        if is_meant:
            found.append(day)
    return found


def first_days(repeats: str) -> list[date]:
    """List beginnings: each weekday, and in months each place that the rule can have."""
    if repeats == "monthly-last":
        return [date(2026, 1, 31) - n * DAY for n in range(7)]
    return [date(2026, 1, 1) + n * DAY for n in range(7 if repeats in WEEKS else 28)]


@pytest.mark.parametrize("repeats", [*WEEKS, "monthly", "monthly-last"])
def test_every_rule_means_the_days_that_a_walk_through_twelve_years_finds(repeats):
    for first in first_days(repeats):
        found = list(recurrence.days(meeting(starts_on=first, repeats=repeats)))
        assert found == walked(first, repeats, LAST), first
        assert len(found) > 100


class Asked(date):
    """A first day that counts how many days are compared with it."""

    compared = 0

    def __le__(self, other: date) -> bool:
        Asked.compared += 1
        return date.__le__(self, other)


@pytest.mark.parametrize("repeats", [*WEEKS, "monthly", "monthly-last"])
def test_an_old_rule_is_not_walked_from_its_beginning(repeats):
    """The web may write thousands of rules from 1970; the worker asks each of them each minute."""
    for start in first_days(repeats):
        every = walked(start, repeats, date(2027, 12, 31))
        for ahead in (-40, 0, 1, 13, 28, 59, 300, 600):
            first = Asked.fromordinal(start.toordinal() + ahead)
            last, Asked.compared = first + 60 * DAY, 0
            found = list(recurrence.days(meeting(starts_on=start, repeats=repeats), first, last))
            assert Asked.compared <= 10, (start, ahead)
            assert found == [day for day in every if first <= day <= last], (start, ahead)


@given(
    st.dates(date(2026, 1, 1), date(2030, 12, 31)),
    st.sampled_from(list(WEEKS)),
    st.integers(0, 900),
    st.sets(st.integers(0, 40)),
)
def test_until_and_exceptions_take_days_away_and_add_none(first, repeats, length, places):
    until = first + length * DAY
    every = walked(first, repeats, until)
    without = {every[place] for place in places if place < len(every)}
    held = meeting(
        starts_on=first, repeats=repeats, until=until, exceptions=[f"{day}" for day in without]
    )
    assert list(recurrence.days(held)) == [day for day in every if day not in without]


@pytest.mark.parametrize("repeats", list(WEEKS))
def test_four_in_the_afternoon_stays_four_when_the_clocks_change(repeats):
    held = meeting(starts_on=date(2026, 1, 6), repeats=repeats)
    found = recurrence.occurrences(held, DENVER, date(2026, 1, 1), LAST)
    assert {each.starts.time() for each in found} == {time(16)}
    assert {each.ends - each.starts for each in found} == {timedelta(hours=1)}
    assert {each.starts.astimezone(UTC).hour for each in found} == {22, 23}


@pytest.mark.parametrize("year", range(2026, 2038))
def test_a_time_that_the_clocks_skip_is_refused_and_its_neighbours_are_not(year):
    change = walked(date(year, 3, 1) + (6 - date(year, 3, 1).weekday()) * DAY, "weekly", LAST)[1]
    for clock, skipped in ((time(1, 59), None), (time(2, 30), change), (time(3), None)):
        assert recurrence.skipped_day([change], [clock, time(9)], DENVER) == skipped


def test_the_rules_are_said_in_words():
    said = {
        "once": "Tuesday, December 8, 2026",
        "weekly": "Every Tuesday",
        "weekly-2": "Every other Tuesday",
        "weekly-3": "Every 3 weeks on Tuesday",
        "weekly-4": "Every 4 weeks on Tuesday",
        "monthly": "Second Tuesday of each month",
        "monthly-last": "Last Tuesday of each month",
    }
    for repeats, expected in said.items():
        assert rule_text(meeting(repeats=repeats), "en") == f"{expected}, 4:00 – 5:00 PM"
        for place in range(1, 5):
            each = meeting(repeats=repeats, starts_on=date(2026, 12, 7 * place - 6))
            english, spanish = (rule_text(each, code) for code in ("en", "es"))
            assert "Tuesday" in english
            assert "martes" in spanish.lower()
            assert "%" not in english + spanish


def test_a_whole_rule_reads_as_a_person_would_say_it_in_both_languages():
    held = meeting(until=date(2027, 6, 2), exceptions=["2026-12-22"])
    assert rule_text(held, "en") == (
        "Every other Tuesday, 4:00 – 5:00 PM, until June 2, 2027, except on December 22"
    )
    assert rule_text(held, "es") == (
        "Cada dos semanas, el martes, 4:00 – 5:00 p. m., hasta el 2 de junio de 2027,"
        " excepto el 22 de diciembre"
    )
    held.until = date(2028, 6, 2)
    english = rule_text(held, "en")
    assert english.endswith("until June 2, 2028, except on December 22, 2026")
    held.until, held.exceptions = date(2027, 6, 2), ["2027-01-05", "2026-12-22"]
    assert rule_text(held, "en").endswith("except on December 22 and on January 5")
    assert rule_text(held, "es").endswith("excepto el 22 de diciembre y el 5 de enero")
    once = meeting(repeats="once")
    assert rule_text(once, "es") == ("Martes 8 de diciembre de 2026, 4:00 – 5:00 p. m.")


@pytest.mark.parametrize(
    ("hours", "english", "spanish"),
    [
        ((time(9), time(10, 30)), "9:00 – 10:30 AM", "9:00 – 10:30 a. m."),
        ((time(11, 30), time(12, 30)), "11:30 AM – 12:30 PM", "11:30 a. m. – 12:30 p. m."),
        ((time(0), time(12)), "12:00 AM – 12:00 PM", "12:00 a. m. – 12:00 p. m."),
    ],
)
def test_hours_are_said_once_where_once_is_enough(hours, english, spanish):
    starts, ends = hours
    said = [i18n.format_hours(starts, ends, code) for code in ("en", "es")]
    assert [read(each) for each in said] == [english, spanish]
    assert " " not in "".join(said), "no line breaks in them"


def test_places_and_names_are_no_marks_in_an_issue():
    held = meeting(title={"en": "*Tea* & [cake]"}, place="Room {first_name} <4>", repeats="once")
    held.spoken, held.access, held.is_open, held.contact = "en", [], False, ""
    found = recurrence.occurrences(held, DENVER, date(2026, 12, 1), date(2026, 12, 31))
    written = formatting.meeting_markdown(found, "en")
    assert r"\*Tea\* \& \[cake\]" in written
    assert r"Room (first\_name) \<4\>" in written
