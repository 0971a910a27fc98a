"""Forms without a mouse or a screen: the order of Tab, Enter, hints, where errors lead."""

import re

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


def tab(page: Page) -> tuple[str, bool]:
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


def test_a_field_is_said_with_its_hint_and_an_open_page_is_said_to_be_open(phone):
    phone.goto(JOIN)
    address = phone.get_by_role("textbox", name="Your work email address")
    expect(address).to_have_accessible_description(re.compile("^Use your own address"))
    phone.goto("/contact")
    expect(phone.locator("nav [aria-current=page]")).to_have_text("Contact")


@night("journeys in a browser")
def test_the_first_stop_skips_to_the_main_part(phone):
    phone.goto(JOIN)
    phone.keyboard.press("Tab")
    phone.keyboard.press("Enter")
    expect(phone.locator("main")).to_be_focused()
    assert tab(phone)[0] == "The Village"


@night("journeys in a browser")
@pytest.mark.parametrize("path", [JOIN, JOIN + "?lang=es"])
def test_enter_in_a_field_sends_the_form_and_does_not_change_the_language(phone, path):
    phone.goto(path)
    language = phone.locator("html").get_attribute("lang") or ""
    phone.focus("[name=email]")
    phone.keyboard.type(f"enter.{language}@dpsk12.org")
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/check-your-inbox/**")
    expect(phone.locator("html")).to_have_attribute("lang", language)


@pytest.mark.expected(422)
def test_errors_and_another_language_keep_what_was_typed_and_lead_to_their_fields(phone):
    phone.goto(JOIN)
    phone.fill("[name=email]", "ada@gmail.com")
    phone.fill("[name=first_name]", "<Ada>")
    phone.check("[name=introduce_me]")
    phone.locator("[name=question-1]").nth(1).check()
    phone.locator("[name=question-2]").nth(2).check()
    phone.keyboard.press("Enter")
    expect(phone).to_have_title("Problem: Join The Village Belong Group · DPS Belong")
    phone.get_by_role("button", name="Español").click()
    expect(phone.locator("html")).to_have_attribute("lang", "es")
    expect(phone.get_by_role("alert")).to_have_count(0)
    phone.locator("main form .button").first.click()
    expect(phone.get_by_role("alert")).to_have_count(1)
    expect(phone.locator("html")).to_have_attribute("lang", "es")
    expect(phone.locator("[name=email]")).to_have_value("ada@gmail.com")
    expect(phone.locator("[name=first_name]")).to_have_value("<Ada>")
    expect(phone.locator("[name=introduce_me]")).to_be_checked()
    expect(phone.locator("[name=question-1]").nth(1)).to_be_checked()
    expect(phone.locator("[name=question-2]").nth(2)).to_be_checked()
    for name in ("email", "first_name"):
        link = phone.get_by_role("alert").locator(f'a[href="#{name}"]')
        link.press("Enter")
        expect(phone.locator(f"[name={name}]")).to_be_focused()
        expect(phone.locator(f"[name={name}]")).to_have_attribute("aria-invalid", "true")
        expect(phone.locator(f"#{name}-error")).to_contain_text(link.inner_text())
        described_by = phone.locator(f"[name={name}]").get_attribute("aria-describedby") or ""
        assert f"{name}-error" in described_by.split()
