"""Hands on a keyboard, without a mouse."""

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

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
