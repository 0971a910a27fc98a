"""Every page and mail: axe, narrow and enlarged, from either side, targets for a thumb."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import ViewportSize

from belong_mail.core import i18n
from tests.browser.chromium import PHONE, Watch
from tests.browser.pages import OURS, shown
from tests.crawl import SLUG
from tests.markers import night, on_sqlite

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
OPEN = "() => document.querySelectorAll('details').forEach(it => { it.open = true })"
PUBLIC = (
    "/", f"/groups/{SLUG}", "/groups/autoimmune", "/groups/african-american-black",
    "/groups/autoimmune/tell-me", "/calendar", f"/calendar?group={SLUG}", "/calendar/2027-01",
    "/new-colleagues", "/new-colleagues/sheet", f"/groups/{SLUG}/poster",
    "/groups/people-with-disabilities/poster", "/privacy", "/accessibility", "/sign-in",
    "/nothing-here",
)  # fmt: skip
PAGES_AND_MAILS = 170


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
        page.evaluate(OPEN)
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
    for path in PUBLIC:
        phone.goto(path)
        found.look(phone, path)
    assert found == Findings(EVERYTHING, seen=len(PUBLIC))


@night("journeys in a browser")
@on_sqlite
@pytest.mark.timeout(600)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_page_and_mail_is_for_everyone_on_any_screen_and_keeps_to_itself(
    browser, app, scenario, language
):
    rules = EVERYTHING if language == i18n.DEFAULT else COLOURS
    found, watch = Findings(rules), Watch(expected={400, 403, 404, 409, 410, 413, 422})
    context = browser.new_context(base_url=OURS, locale=language, viewport=PHONE)
    watch.over(context, OURS)
    for name, page in shown(context, app, scenario, language):
        found.look(page, name)
    context.close()
    assert found == Findings(rules, seen=found.seen)
    assert found.seen >= PAGES_AND_MAILS
    assert watch.complaints == []
