"""Every page and mail: axe, narrow and enlarged, from either side, targets for a thumb."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import ViewportSize

from belong_mail.core import i18n
from tests.browser.chromium import PHONE, Watch
from tests.browser.screenshots import WALKS
from tests.browser.strangers import mails, public
from tests.markers import night

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Mails are looked at on their own; into a frame without rights axe cannot look.
EVERYTHING = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
    "iframes": False,
}
# In dark and in another language, which change nothing else.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "iframes": False}
IS_THERE = "() => 'axe' in window"
# All that axe has to say of what is right takes longer to hand over than to find.
VIOLATIONS = "async rules => (await axe.run(rules)).violations"
# A small phone; and 1280 by 1024 at 400 %.
NARROW: tuple[ViewportSize, ...] = ({"width": 320, "height": 740}, {"width": 320, "height": 256})
DIRECTIONS = ("rtl", "ltr")
TOO_WIDE = """direction => {
  document.documentElement.dir = direction
  const rows = [document.documentElement, ...document.querySelectorAll('.places')]
  return Math.max(...rows.map(it => it.scrollWidth - it.clientWidth))
}"""
TOO_SMALL = """() => [...document.querySelectorAll(
    '.button, nav a, nav button, .tile, select, textarea, summary, .field > input, .back a')]
  .filter(it => it.checkVisibility() && !it.matches('.unseen, .unseen *'))
  .filter(it => it.getBoundingClientRect().height < 44)
  .map(it => `${it.localName} “${it.innerText.trim()}” ${it.getBoundingClientRect().height}`)"""
UNSEEN = """() => [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter(it => it.checkVisibility() && it.tabIndex >= 0 && it.type != 'hidden')
  .filter(it => {
    it.focus({ focusVisible: true })
    return ![it, it.closest('.card, .issues li')].some(each => {
      const style = each && getComputedStyle(each)
      return style?.outlineStyle == 'auto' ||
        (style?.outlineStyle == 'solid' && parseFloat(style.outlineWidth) >= 2)
    })
  })
  .map(it => `${it.localName} “${it.innerText.trim()}”`)"""
PUBLIC_PAGES = 15


@dataclass
class Findings:
    """Faults that a walk past every page and email has found; and how many it saw."""

    rules: dict[str, Any]
    seen: int = 0
    axe: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def look(self, page, name: str) -> None:
        self.seen += 1
        page.emulate_media(color_scheme="light")
        if not page.evaluate(IS_THERE):
            page.evaluate(AXE_SCRIPT)
        light = page.evaluate(VIOLATIONS, self.rules)
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(VIOLATIONS, COLOURS)
        self.axe += [
            f"{name}: {each['id']} {node['target']} {node['failureSummary']}"
            for each in light + dark
            for node in each["nodes"]
        ]
        for size in NARROW:
            page.set_viewport_size(size)
            over = {each: page.evaluate(TOO_WIDE, each) for each in DIRECTIONS}
            if any(over.values()):
                self.wide.append(f"{name}: {over} at {size}")
        page.set_viewport_size(PHONE)
        self.small += [f"{name}: {each}" for each in page.evaluate(TOO_SMALL)]
        self.unseen += [f"{name}: no focus on {each}" for each in page.evaluate(UNSEEN)]


@pytest.mark.expected(404)
def test_public_pages_are_for_everyone_on_any_screen(phone):
    """Every other page and mail is looked at during the night."""
    found = Findings(EVERYTHING)
    for name in public(phone):
        found.look(phone, name)
    assert found == Findings(EVERYTHING, seen=found.seen)
    assert found.seen >= PUBLIC_PAGES


@night("journeys in a browser")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(("who", "pages", "seen"), WALKS, ids=[who for who, *_ in WALKS])
def test_every_page_and_mail_is_for_everyone_on_any_screen_and_keeps_to_itself(
    browser, site, language, who, pages, seen
):
    rules = EVERYTHING if language == i18n.DEFAULT else COLOURS
    found, watch = Findings(rules), Watch(expected={404, 413, 422})
    context = browser.new_context(base_url=site.url, locale=language, viewport=PHONE)
    watch.over(context, site.url)
    address = f"{who}.{language}@dpsk12.org"
    page = context.new_page()
    for name in pages(page, site, address):
        found.look(page, name)
    letter = context.new_page()
    for name, html in mails(site, address):
        letter.set_content(html)
        found.look(letter, name)
    cookies = context.cookies()
    context.close()
    assert found == Findings(rules, seen=found.seen)
    assert found.seen >= seen, "an email of another test on this site may come on top"
    assert watch.complaints == []
    of_leads = {"belong", "belong-known"}
    assert {cookie["name"] for cookie in cookies} == (of_leads if who == "leads" else set())
