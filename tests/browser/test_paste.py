"""Words pasted from Google Docs and Word stay what they were; the keyboard marks words."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASTE
from tests.markers import night

CLIPBOARDS = Path(__file__).parent / "clipboards"
PASTED = """## Family night

Dear {first_name}, come to **tea and cake** on _Friday_. It’s **_free_**: see \
[the page](https://www.dpsk12.org/tea%281%29).

### What to bring

- One cup
    - with a _lid_
- A **friend**

1. Sign up
2. Come

5 \\* 3 \\_ all of it"""
# Whether the text's last line is shown, and its field ends above the bar.
IS_IN_SIGHT = """() => {
  const [area, bar] = ['[name=text]', '.bar'].map((each) => document.querySelector(each))
  const below = area.scrollHeight - area.clientHeight - area.scrollTop
  return below < 20 && area.getBoundingClientRect().bottom < bar.getBoundingClientRect().top
}"""
RUNS = """<img src="https://example.org/x.png" onerror="document.title = 1">
<script>document.title = 1</script>"""


@pytest.fixture
def paste(text) -> Callable[[str], bool]:
    """Paste HTML at the cursor; tell whether the browser is left to do it."""

    def put(html: str) -> bool:
        return bool(text.evaluate(PASTE, [html, "only words"]))

    return put


@night("journeys in a browser")
@pytest.mark.parametrize("program", ["google-docs", "word", "word-in-webkit"])
def test_pasted_text_keeps_headings_emphasis_lists_and_links(page, text, paste, program):
    text.fill("Before.")
    text.press("End")
    assert not paste((CLIPBOARDS / f"{program}.html").read_text())
    expect(text).to_have_value(f"Before.\n\n{PASTED}")
    preview = page.frame_locator("iframe[name=preview]")
    page.get_by_role("button", name="Phone").click()
    expect(preview.locator("h2", has_text="Family night")).to_be_visible()
    expect(preview.locator("li li em")).to_have_text("lid")
    expect(preview.locator("strong em")).to_have_text("free")
    expect(preview.locator("ol li")).to_have_count(2)
    expect(preview.locator("a", has_text="the page")).to_have_attribute(
        "href", "https://www.dpsk12.org/tea%281%29"
    )
    text.press("Control+z")
    expect(text).to_have_value("Before.")


def test_nothing_pasted_runs_and_plain_words_are_the_browsers(page, text, paste):
    title = page.title()
    assert paste(f"<p>Just <span style='color: red'>words</span></p>{RUNS}")
    assert not paste(f"<b>Bold,</b>then <a href='javascript:alert(1)'>a link</a>{RUNS}")
    expect(text).to_have_value("**Bold**,then a link")
    assert page.title() == title


def test_a_table_stays_one_and_pictures_are_told_of(page, text, paste):
    rows = [("Day", "Place"), ("Tuesday", "<b>Room</b> 4|5")]
    cells = "".join(f"<tr><td>{day}</td><td><p>{place}</p></td></tr>" for day, place in rows)
    assert not paste(f"<table>{cells}</table><img src=x>")
    expect(text).to_have_value("| Day | Place |\n| --- | --- |\n| Tuesday | **Room** 4\\|5 |")
    expect(page.locator("#left-out")).to_contain_text("Pictures aren’t pasted.")
    page.get_by_role("button", name="Phone").click()
    preview = page.frame_locator("iframe[name=preview]")
    expect(preview.get_by_role("cell", name="Room 4|5", exact=True)).to_be_visible()
    text.fill("")
    merged = "<tr><td colspan=2>May</td></tr><tr><td rowspan=2>4</td><td>Tea</td></tr>"
    assert not paste(f"<table>{merged}<tr><td>Cake</td></tr></table>")
    expect(text).to_have_value("| May |  |\n| --- | --- |\n| 4 | Tea |\n|  | Cake |")
    text.fill("")
    listed = "<tr><td>Day</td><td>What</td></tr><tr><td>4</td><td><ul><li>Tea</ul></td></tr>"
    assert not paste(f"<table>{listed}</table>")
    expect(text).to_have_value("Day\n\nWhat\n\n4\n\n- Tea")
    expect(page.locator("#left-out")).to_contain_text("is pasted as paragraphs.")
    text.press("x")
    expect(page.locator("#left-out")).to_be_empty()
    text.fill("")
    assert not paste("<table><tr><td><b>Only</b> arranged</td></tr></table>")
    expect(text).to_have_value("**Only** arranged")
    expect(page.locator("#left-out")).to_be_empty()


@night("journeys in a browser")
def test_on_a_phone_the_line_being_written_stands_above_the_bar(page, text, paste):
    def is_in_sight() -> bool:
        return bool(page.evaluate(IS_IN_SIGHT))

    assert not paste("<p><b>A line</b></p>" * 60)
    assert is_in_sight(), "the end of what was pasted"
    page.evaluate("scrollTo(0, 0)")
    text.press("x")
    assert is_in_sight()


def test_keys_and_tools_mark_words_and_leave_no_sample_words(page, text):
    text.fill("Come to tea")
    for key, marked in (("b", "**tea**"), ("i", "_tea_"), ("k", "[tea](https://)")):
        text.evaluate("it => it.setSelectionRange(8, 11)")
        text.press(f"Control+{key}")
        expect(text).to_have_value(f"Come to {marked}")
        if key == "k":
            page.keyboard.type("example.org")
            expect(text).to_have_value("Come to [tea](https://example.org)")
        else:
            text.press(f"Control+{key}")
            expect(text).to_have_value("Come to tea")
    tools = page.get_by_role("group", name="Formatting").first
    for name, left in {
        "Bold": "**x**", "Italic": "_x_", "Heading": "## x", "List": "- x",
        "Link": "[x](https://)",
    }.items():  # fmt: skip
        text.fill("")
        tools.get_by_role("button", name=name).click()
        page.keyboard.type("x")
        expect(text).to_have_value(left)


@night("journeys in a browser")
def test_the_next_meetings_stand_where_the_cursor_is(page, text, site):
    site.plan_meetings({"title": {"en": "Tea"}})
    page.reload()
    text.fill("Before.\n\nAfter.")
    text.evaluate("it => it.setSelectionRange(7, 7)")
    page.get_by_role("button", name="Next meetings").first.click()
    expect(text).to_have_value(
        re.compile(r"^Before\.\n\n## The next meetings\n\n- \*\*[^#]*\n\nAfter\.$")
    )
