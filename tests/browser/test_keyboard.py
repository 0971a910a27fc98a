"""Forms without a mouse: the order of Tab, and the way past what every page begins with."""

from playwright.sync_api import expect

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
