"""Pictures of every page and mail: `python -m tests.browser.screenshots FOLDER`."""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from tests.browser import leads, members, strangers
from tests.browser.chromium import FLAGS, MISSING, PATH
from tests.browser.site import Site

# Who walks past which pages, and how many they are with the emails that they cause.
WALKS = (
    ("strangers", strangers.strangers, 58),
    ("members", members.members, 23),
    ("leads", leads.leads, 66),
)
WIDTHS = (320, 768, 1440)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 740


def take(browser, site, language, folder: Path) -> None:
    """Take every picture in one language: both themes, each width."""
    for who, pages, _ in WALKS:
        context = browser.new_context(base_url=site.url, locale=language)
        page, address = context.new_page(), f"{who}.{language}@dpsk12.org"
        for name in pages(page, site, address):
            _picture(page, folder / f"{name}-{language}")
        letter = context.new_page()
        for name, html in strangers.mails(site, address):
            letter.set_content(html)
            _picture(letter, folder / f"{name}-{language}")
        context.close()


def _picture(page, file: Path) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=f"{file}-{width}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        with Site(Path(state)) as site:
            for language in ("en", "es"):
                take(browser, site, language, folder)
        browser.close()


if __name__ == "__main__":
    if PATH is None or len(sys.argv) != 2:
        sys.exit(MISSING if PATH is None else __doc__)
    main(Path(sys.argv[1]))
