"""The journeys of members, leaders and the office in Firefox and WebKit over https, each once."""

import os
import signal
from base64 import b64decode
from collections.abc import Iterator
from datetime import date
from io import BytesIO

import pikepdf
import pytest

from tests.browser.chromium import IS_REQUIRED
from tests.browser.site import SLUG
from tests.browser.webdriver import Driven, Firefox, WebKit
from tests.markers import night

pytestmark = [
    night("installations"),
    pytest.mark.timeout(240),
    pytest.mark.parametrize("stage", ["sqlite"], indirect=True),
]


@pytest.fixture(params=[Firefox, WebKit])
def driven(request) -> Iterator[Driven]:
    kind: type[Driven] = request.param
    if kind.missing():
        (pytest.fail if IS_REQUIRED else pytest.skip)(kind.missing())
    with kind() as driven:
        yield driven


@pytest.fixture
def address(driven) -> str:
    return f"{type(driven).__name__}@dpsk12.org".lower()


def join(driven, stage, address: str) -> None:
    driven.go(f"{stage.url}/groups/the-village")
    driven.press("Join this group")
    driven.type("email", address)
    driven.press("Send me the link")
    driven.heading("Now check your inbox")
    driven.go(stage.link_to(address, "confirm"))
    driven.press("Join The Village Belong Group")
    driven.heading("Welcome! You’re in.")


def sign_in(driven, stage, address: str) -> None:
    """Be invited to lead the group and accept; then sign in, which proves who it is."""
    stage.flask("lead", "invite", address, "--group", SLUG, "--name", "Kim, East")
    driven.go(stage.link_to(address, "invitation"))
    driven.press("Yes, I’ll lead this group")
    driven.heading("Groups I lead")
    driven.go(f"{stage.url}/sign-in")
    driven.type("email", address)
    driven.press("Send me the link")
    driven.go(stage.link_to(address, "sign-in"))
    driven.press("Yes, it’s me")
    driven.heading("Groups I lead")


def editor_has_loaded(driven) -> None:
    driven.find("//button[normalize-space()='Bold']")


def is_saved(driven) -> None:
    driven.find("//*[@id='saved'][normalize-space()='Saved.']")


def silence(stage, number: signal.Signals) -> None:
    """Let the web answer nothing more, or again."""
    for pid in stage.pids("web"):
        os.kill(pid, number)


def press_while_the_preview_loads(driven, name: str) -> None:
    """Press a button of the text; Firefox drops what a form sends while its last answer loads."""
    editor_has_loaded(driven)
    script = "document.querySelector('main [formtarget]').click();"
    script += f" setTimeout(() => document.querySelector('main [name={name}]').click())"
    driven.command("ExecuteScript", script=script, args=[])


def write(driven, stage, subject: str) -> None:
    """Write a newsletter, leave it, come back and reload it: its words stay. Then send it.

    One presses “Send” while nothing answers, and stops the browser; goes back from a later “Send”,
    and corrects a word before.
    """
    driven.press("Write a newsletter")
    editor_has_loaded(driven)
    driven.type("subject", subject)
    driven.type("text", "Come to tea.")
    is_saved(driven)
    driven.go(f"{stage.url}/lead/")
    driven.heading("Groups I lead")
    driven.command("Back")
    editor_has_loaded(driven)
    assert driven.value("text") == "Come to tea."
    driven.type("text", " Bring a cup.")
    is_saved(driven)
    driven.command("Refresh")
    assert driven.value("subject") == subject
    assert driven.value("text") == "Come to tea. Bring a cup."
    driven.type("text", " Or")
    silence(stage, signal.SIGSTOP)
    press_while_the_preview_loads(driven, "release")
    driven.find("//*[@id='saved'][normalize-space()='Saving…']")
    driven.command("ExecuteScript", script="window.stop()", args=[])
    silence(stage, signal.SIGCONT)
    is_saved(driven)
    press_while_the_preview_loads(driven, "release")
    driven.heading("Send or schedule")
    driven.command("Back")
    editor_has_loaded(driven)
    driven.type("text", " two.")
    is_saved(driven)
    press_while_the_preview_loads(driven, "release")
    # The button has a second name, for later.
    driven.command("ElementClick", id=driven.find("//main//button/*[.='Send to members']"))
    driven.find("//button[normalize-space()='Cancel sending']")
    stage.let_time_pass()
    driven.find("//h2[normalize-space()='Results']")


def test_a_member_a_leader_and_the_office_do_all_they_came_for(driven, stage, address):
    join(driven, stage, address)
    sign_in(driven, stage, f"lead.{address}")
    subject = f"Tea in {address}"
    write(driven, stage, subject)
    stage.wait_for(lambda: stage.mails_to(address)[0].subject == subject)
    driven.go(stage.link_to(address, "leave"))
    driven.press("Leave The Village Belong Group")
    driven.heading("You’ve left the group")
    stage.flask("office", "invite", address)
    driven.go(stage.link_to(address, "invitation"))
    driven.type("name", "Kim, East")
    driven.press("Yes, I’ll work for the office")
    driven.heading("Today")


@pytest.mark.parametrize("driven", [Firefox], indirect=True)
def test_firefox_prints_a_poster_and_a_month_on_one_page_each_without_a_blank_band(driven, stage):
    """WebKit's driver prints nothing."""
    stage.plan_meetings({"starts_on": date(2027, 2, 2)})
    for path in ("/groups/people-with-disabilities/poster", "/calendar/2027-02"):
        driven.go(f"{stage.url}{path}")
        printed = pikepdf.open(BytesIO(b64decode(driven.command("Print"))))
        [page] = printed.pages
        drawn = pikepdf.parse_content_stream(page)
        # How far down each line begins from the one before, in heights of a letter.
        steps = [-float(each.operands[1]) for each in drawn if str(each.operator) == "Td"]
        assert max(steps) < 20, path
