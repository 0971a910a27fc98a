"""Meetings in a real browser: planned by keyboard on a phone, looked at by anyone."""

import re
from collections.abc import Iterator

import pytest
from babel.dates import format_date
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import PHONE, Watch
from tests.browser.leads import FIRST, LAST, type_a_meeting
from tests.browser.site import SLUG, Site, sign_in
from tests.browser.strangers import press
from tests.markers import night

pytestmark = night("journeys in a browser")

WORDS = {
    "en": f"Every other Tuesday, 4:00–5:00 PM, until {format_date(LAST, 'long', 'en')}",
    "es": "Cada dos semanas, el martes, 4:00–5:00 p. m., hasta el "
    + format_date(LAST, "long", "es"),
}


@pytest.fixture
def seat(browser: Browser, site: Site, language: str, *, has_script: bool) -> Iterator[Page]:
    """A phone in which a lead is signed in."""
    watch = Watch(expected={404, 422})
    context = browser.new_context(
        base_url=site.url, locale=language, viewport=PHONE, java_script_enabled=has_script
    )
    watch.over(context, site.url)
    page = context.new_page()
    sign_in(page, site)
    yield page
    context.close()
    assert watch.complaints == []


def test_a_lead_plans_a_meeting_by_keyboard_on_a_phone_and_reads_it_before_it_is_saved(
    seat, language
):
    type_a_meeting(seat, f"Room {language}")
    seat.focus("[name=preview]")
    with seat.expect_navigation():
        seat.keyboard.press("Enter")
    notice = seat.get_by_role("status")
    expect(notice).to_contain_text(WORDS[language])
    assert seat.input_value("[name=place]") == f"Room {language}"
    seat.focus("button.big")
    with seat.expect_navigation():
        seat.keyboard.press("Enter")
    expect(seat.get_by_role("status")).to_be_visible()
    expect(seat.locator("main")).to_contain_text(WORDS[language])
    seat.locator("summary").first.focus()
    seat.keyboard.press("Enter")
    seat.locator("details a").first.click()
    press(seat, "main section form .button")
    expect(seat.get_by_role("status")).to_be_visible()


def test_anyone_finds_the_dates_and_subscribes_without_a_cookie(phone, seat, language):
    type_a_meeting(seat, f"Room {language}")
    press(seat, "button.big")
    phone.goto(f"/calendar/{FIRST:%Y-%m}")
    expect(phone.locator("table.month")).to_contain_text("4:00–5:00 PM")
    phone.goto("/")
    phone.get_by_role("link", name="Calendar", exact=True).click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Meetings of all groups")
    phone.goto(f"/calendar?group={SLUG}&lang=en")
    button = phone.get_by_role("link", name="Subscribe to all groups")
    expect(button).to_have_attribute("href", re.compile(r"^webcal://localhost:\d+/calendar\.ics"))
    steps = phone.locator(".subscribe details", has_text="Google Calendar")
    steps.locator("summary").click()
    for name in ("All groups", "The Village"):
        link = steps.get_by_role("link", name=name)
        answer = phone.request.get(link.get_attribute("href") or "")
        assert answer.text().startswith("BEGIN:VCALENDAR")


@pytest.mark.parametrize("has_script", [True], ids=["script"])
def test_the_next_meetings_stand_where_the_cursor_is(seat, language):
    type_a_meeting(seat, f"Room 1 {language}")
    press(seat, "button.big")
    seat.goto("/lead/")
    press(seat, f"form[action$='{SLUG}/newsletters'] button")
    text = seat.locator("[name=text]")
    text.fill("Before.\n\nAfter.")
    text.evaluate("area => area.setSelectionRange(7, 7)")
    names = {"en": "Next meetings", "es": "Próximas reuniones"}
    seat.get_by_role("button", name=names[language]).first.click()
    written = text.input_value()
    assert written.startswith("Before.\n\n## The next meetings\n\n- **")
    assert written.endswith("\n\nAfter.")
    assert seat.locator("[name=meetings]").count() == 0
