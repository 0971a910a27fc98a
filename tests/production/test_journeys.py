"""The whole journeys of a teacher, a lead and the office: Chromium, https, production."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.browser.leads import leads, state
from tests.browser.members import members
from tests.browser.site import SLUG, sign_out
from tests.browser.strangers import ask, press
from tests.markers import night
from tests.production.stage import SECONDS_TO_END

TEACHER, LEAD = "teacher.en@dpsk12.org", "lead.en@dpsk12.org"
OFFICE = "eps-belong@example.org"
pytestmark = [night("installations"), pytest.mark.timeout(180)]
# Makes a browser known in which a lead has signed in; it names nobody.
KNOWN = "__Host-belong-known"


def test_a_teacher_joins_changes_moves_erases_leaves_and_writes_to_the_office(stage, seat):
    for stop in members(seat, stage, TEACHER):
        assert stop
    leaver = "leaver.en@dpsk12.org"
    seat.goto(f"/groups/{SLUG}/join")
    ask(seat, leaver)
    seat.goto(stage.link_to(leaver, "confirm"))
    press(seat)
    seat.goto(stage.link_to(leaver, "leave"))
    press(seat)
    expect(seat.locator("h1")).to_have_text("You’ve left the group")
    seat.goto("/contact")
    seat.select_option("[name=topic]", "access")
    seat.fill("[name=message]", "We need an interpreter.")
    press(seat)
    reference = seat.locator("code").first.inner_text()
    stage.wait_for(lambda: any(reference in mail.subject for mail in stage.mails_to(OFFICE)))
    assert seat.context.cookies() == []


def test_a_lead_and_the_office_press_every_button(stage, seat):
    for stop in leads(seat, stage, LEAD):
        assert stop
    cookies = seat.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"__Host-belong", KNOWN}
    assert {(cookie["secure"], cookie["httpOnly"]) for cookie in cookies} == {(True, True)}
    with in_the_middle_of_an_issue(stage, seat):
        seat.get_by_role("button", name="Pause", exact=True).click()
        expect(seat.locator("#words")).to_contain_text("Paused.")
    seat.get_by_role("button", name="Resume", exact=True).click()
    state(seat, "sent")
    with in_the_middle_of_an_issue(stage, seat):
        seat.get_by_role("link", name="Stop for good").click()
        press(seat)
    expect(seat.get_by_text("Results")).to_be_visible()
    sign_out(seat)
    expect(seat.get_by_role("link", name="Group leader sign-in")).to_be_visible()
    assert [cookie["name"] for cookie in seat.context.cookies()] == [KNOWN]


@contextmanager
def in_the_middle_of_an_issue(stage, page) -> Iterator[None]:
    """Release an issue, and let the relay answer to no copy before the block ends."""
    page.goto("/lead/")
    press(page, f"main form[action*='{SLUG}/newsletters'] button")
    page.fill("[name=subject]", "Tea again")
    page.fill("[name=text]", "Come to tea.")
    press(page, "#main-form [name=release]")
    page.check("[name=when][value='1']")
    press(page, "#main-form .button")
    has_come, may_answer = threading.Event(), threading.Event()

    def hesitate(_: str) -> None:
        has_come.set()
        may_answer.wait(SECONDS_TO_END)

    stage.relay.on("DOT", hesitate)
    try:
        stage.let_time_pass()
        assert has_come.wait(SECONDS_TO_END)
        page.reload()
        yield
    finally:
        may_answer.set()
        stage.relay.usual()
