"""By keyboard alone, on a phone, in both languages: a lead's seat."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from belong_mail.core import i18n
from belong_mail.core.db import now
from tests.browser.site import LEAD, Site
from tests.markers import one_by_day

# Messages a minute; so that an issue can be paused in the middle.
SLOWLY = "20"
# Stops between any two things on a page.
MOST = 120
IS_SEEN = """() => {
  const it = document.activeElement
  const places = [it, it.closest('li')].filter(Boolean).map(getComputedStyle)
  const isOutlined = at => at.outlineStyle != 'none' && parseFloat(at.outlineWidth) >= 1
  return it.localName == 'iframe' || places.some(isOutlined)
}"""


@dataclass(frozen=True)
class Hands:
    page: Page

    def reach(self, target: Locator) -> None:
        """Press Tab until the target has the focus, and see that it shows it."""
        expect(target).to_be_visible()
        for _ in range(MOST):
            if target.locator(":scope:focus").count():
                assert self.page.evaluate(IS_SEEN)
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {target}")

    def press(self, target: Locator, *keys: str) -> None:
        self.reach(target)
        for key in keys or ("Enter",):
            self.page.keyboard.press(key)

    def type(self, target: Locator, *words: str) -> None:
        """Type words; a word that is the name of a key presses it."""
        self.reach(target)
        for word in words:
            if word in {"ArrowRight", "Enter"}:
                self.page.keyboard.press(word)
            else:
                self.page.keyboard.type(word)


@pytest.fixture
def slow(tmp_path_factory) -> Iterator[Site]:
    """Serve a site whose relay takes little, with ten members in the group."""
    with Site(tmp_path_factory.mktemp("slow"), BELONG_SEND_RATE=SLOWLY) as site:
        site.add_members(10)
        yield site


@pytest.fixture
def context_args(request, context_args: dict[str, Any]) -> dict[str, Any]:
    """Visit the slow site, where the test is about it."""
    if "slow" in request.fixturenames:
        return {**context_args, "base_url": request.getfixturevalue("slow").url}
    return context_args


def come_in(page, language) -> Hands:
    """Open the directory with an English browser and choose the language there."""
    hands = Hands(page)
    page.goto("/")
    if language != i18n.DEFAULT:
        hands.press(page.get_by_role("link", name=i18n.NAMES[language]))
    expect(page.locator("html")).to_have_attribute("lang", language)
    return hands


def ask_by_mail(hands, say, address: str) -> None:
    """Type an address on the page that asks for it, and open the mail that comes."""
    page = hands.page
    hands.type(page.get_by_role("textbox", name=say("Your email address")), address, "Enter")
    heading(page, say("Now check your inbox"))


def open_mail(hands, say, site, address: str, number: int = 1) -> FrameLocator:
    """Wait for a mail and open it in the test mailbox."""
    page, subject = hands.page, site.mail_to(address, number).subject
    hands.press(page.get_by_role("link", name=say("Test mailbox")))
    hands.press(page.get_by_role("link", name=subject).first)
    heading(page, subject)
    return page.frame_locator("iframe")


def heading(page, words: str) -> None:
    expect(page.locator("h1")).to_have_text(words)


def sign_in(hands, say, site) -> None:
    page = hands.page
    hands.press(page.get_by_role("link", name=say("Group leader sign-in")))
    ask_by_mail(hands, say, LEAD)
    letter = open_mail(hands, say, site, LEAD)
    hands.press(letter.get_by_role("link", name=say("Sign in")))
    heading(page, say("Sign in"))
    hands.press(page.get_by_role("button", name=say("Sign in")))
    heading(page, say("Groups I lead"))
    cookies = page.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"belong", "belong-known"}
    assert {(cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies} == {(True, "Lax")}


def write(hands, say) -> None:
    """Write an issue and look at it as the readers will; saving adds no step to go back."""
    page = hands.page
    hands.press(page.get_by_role("button", name=say("Write a newsletter")))
    expect(page.locator("#main-form")).to_be_visible()
    steps = page.evaluate("history.length")
    hands.type(page.locator("[name=subject]"), "Tea on Friday")
    hands.type(page.locator("[name=text]"), "Come to **tea**.", "Enter", "Bring a cup.")
    hands.press(page.get_by_role("button", name=say("Phone")))
    expect(page.frame_locator("iframe[name=preview]").locator("strong")).to_have_text("tea")
    expect(page.locator("#saved")).to_have_text(say("Saved."))
    expect(page.locator("#not-saved")).to_be_empty()
    assert page.evaluate("history.length") == steps
    assert page.evaluate("sessionStorage.length") == 0, "the tab keeps what is unsaved alone"


def release(hands, say, *, is_later: bool) -> None:
    """Release for tomorrow, or now with one minute to undo."""
    page, button = hands.page, "Schedule" if is_later else "Send to members"
    if is_later:
        hands.press(page.get_by_role("radio", name=say("In 10 minutes")), "ArrowDown", "ArrowDown")
        tomorrow = now() + timedelta(days=1)
        field = page.get_by_label(say("Date and time"))
        hands.type(field, f"{tomorrow:%m%d%Y}", "ArrowRight", "0500PM")
    else:
        hands.press(page.get_by_role("radio", name=say("In 10 minutes")), "ArrowUp")
    hands.press(page.get_by_role("button", name=say(button), exact=True))
    words = "Scheduled for %(time)s, %(time_place)s time. Until then, you can cancel it."
    state(page, beginning(say, words))


def state(page, words: str) -> None:
    expect(page.locator("#words")).to_contain_text(words)


def beginning(say, words: str) -> str:
    """Return a sentence until the time that it tells."""
    return say(words, time="|", time_place="").partition("|")[0]


def sending(say) -> str:
    return say("Sending. It’ll be done in about a minute.").partition(".")[0]


def keep_the_place(hands, say, site) -> None:
    """Stand on a button while the issue leaves: it goes away, and the words take the focus."""
    cancel = hands.page.get_by_role("button", name=say("Cancel sending"))
    hands.reach(cancel)
    site.let_time_pass()
    state(hands.page, sending(say))
    expect(cancel).to_have_count(0)
    expect(hands.page.locator("#words")).to_be_focused()


@one_by_day("journeys in a browser")
@pytest.mark.timeout(240)
def test_a_stranger_in_a_leads_seat_writes_tests_releases_pauses_and_reads_what_became_of_it(
    seat, say, slow, language
):
    hands = come_in(seat, language)
    sign_in(hands, say, slow)
    write(hands, say)
    to_release = seat.get_by_role("button", name=say("Send or schedule"))
    hands.press(to_release)
    heading(seat, say("Send or schedule"))
    hands.press(seat.get_by_role("button", name=say("Send me a test copy")))
    expect(seat.get_by_text(say("We’re emailing you a test copy."))).to_be_visible()
    assert slow.mail_to(LEAD, 2).subject == "[Test] Tea on Friday"
    release(hands, say, is_later=True)
    hands.press(seat.get_by_role("button", name=say("Cancel sending")))
    expect(seat.get_by_text(say("This is a draft. Nothing has been sent."))).to_be_visible()
    hands.press(to_release)
    release(hands, say, is_later=False)
    keep_the_place(hands, say, slow)
    hands.press(seat.get_by_role("button", name=say("Pause")))
    state(seat, say("Paused. Nothing more will be sent until you resume."))
    hands.press(seat.get_by_role("button", name=say("Resume"), exact=True))
    state(seat, sending(say))
    slow.processes.restart_worker(BELONG_SEND_RATE="")
    state(seat, beginning(say, "Sent on %(time)s, %(time_place)s time."))
    about = say("about %(number)s", number=10)
    handed = say("Sent to %(members)s members.", members=about)
    expect(seat.get_by_role("listitem").filter(has_text=handed)).to_be_visible()
    hands.press(seat.get_by_role("link", name=say("Account"), exact=True))
    hands.press(seat.get_by_role("button", name=say("Sign out"), exact=True))
    expect(seat.get_by_role("link", name=say("Group leader sign-in"))).to_be_visible()
