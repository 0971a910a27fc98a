"""Forms without a mouse, whose stops are as they are read; and one without the style sheet."""

import pytest
from playwright.sync_api import Page, expect

from tests.markers import night

JOIN = "/groups/the-village/join"
IN_ORDER = [
    "skip", "brand", "Groups", "Calendar", "Español", "The Village", "email",
    "language", "first_name", "introduce_me", "question-1", "question-2", "question-2",
    "question-2", "summary", "submit",
]  # fmt: skip
WHERE = """() => {
  const it = document.activeElement
  const outline = getComputedStyle(it)
  return [it.name || it.className || (it.localName == 'summary' ? 'summary' : it.innerText.trim()),
          it.type || '', outline.outlineStyle != 'none' && parseFloat(outline.outlineWidth) >= 2]
}"""


def tab(page) -> tuple[str, bool]:
    """Press Tab; return what has the focus, and whether the focus is to be seen."""
    page.keyboard.press("Tab")
    name, kind, is_seen = page.evaluate(WHERE)
    return ("submit" if kind == "submit" and "big" in name else name), is_seen


def test_tab_goes_through_the_form_as_it_is_read(phone):
    phone.goto(JOIN)
    stops = [tab(phone) for _ in IN_ORDER]
    names = ["Español" if name == "switch_language" else name for name, _ in stops]
    assert names == IN_ORDER
    assert [name for name, is_seen in stops if not is_seen] == []


@night("journeys in a browser")
def test_the_first_stop_skips_to_the_main_part(phone):
    phone.goto(JOIN)
    phone.keyboard.press("Tab")
    phone.keyboard.press("Enter")
    expect(phone.locator("main")).to_be_focused()
    assert tab(phone)[0] == "The Village"


def test_a_receipts_code_is_copied_and_pasted_where_it_opens_the_message(phone):
    phone.goto("/contact")
    phone.select_option("[name=topic]", "need")
    phone.fill("[name=message]", "Where is the library?")
    phone.press("main form .button.big", "Enter")
    phone.get_by_role("button", name="Copy the code").press("Enter")
    expect(phone.get_by_role("status")).to_have_text("Copied.")
    phone.goto("/contact/answer")
    phone.press("[name=code]", "Control+v")
    phone.press("[name=code]", "Enter")
    expect(phone.get_by_text("Where is the library?")).to_be_visible()


HEARD = "() => document.body.innerText.split('\\n').map(it => it.trim()).filter(Boolean)"


@pytest.fixture
def bare(phone) -> Page:
    """Hold a phone to which the style sheet never comes."""
    phone.route("**/*.css*", lambda route: route.fulfill(content_type="text/css", body=""))
    return phone


@night("journeys in a browser")
def test_without_style_a_page_reads_from_top_to_bottom_and_its_form_is_sent(bare, site):
    bare.goto(JOIN)
    said = bare.evaluate(HEARD)
    order = [
        "Skip to main content", "Groups", "Contact", "Join The Village Belong Group",
        "Your work email address", "Leave this empty", "Send me the link", "What happens next",
        "Privacy",
    ]  # fmt: skip
    places = [next((i for i, line in enumerate(said) if line == words), -1) for words in order]
    assert -1 not in places, said
    assert places == sorted(places), said
    bare.get_by_label("Your work email address").fill("bare@dpsk12.org")
    bare.get_by_role("button", name="Send me the link").click()
    expect(bare.get_by_role("heading", name="Now check your inbox")).to_be_visible()
    site.mail_to("bare@dpsk12.org")
