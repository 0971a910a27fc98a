"""What comes out of the printer: one page, nothing cut, and codes that a phone reads."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.site import Site
from tests.newcomers.codes import read_png

PAGES = re.compile(rb"/Type\s*/Page\b")
GROUPS = (
    "african-american-black", "citizens-of-the-world", "deconstructing-privilege",
    "people-with-disabilities",
)  # fmt: skip
"""Those with the longest names and words, and one that has not started."""
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def desk(browser: Browser, site: Site, language: str) -> Page:
    return browser.new_page(
        base_url=site.url, locale=language, viewport={"width": 1280, "height": 900}
    )


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_sheet_and_every_poster_are_one_page(desk: Page, paper: str) -> None:
    for path in ("/new-colleagues/sheet", *(f"/groups/{slug}/poster" for slug in GROUPS)):
        desk.goto(path)
        assert len(PAGES.findall(desk.pdf(format=paper))) == 1, path
    desk.close()


def test_a_phone_reads_every_code_from_the_screen_in_either_theme(desk: Page, site: Site) -> None:
    for theme in THEMES:
        desk.emulate_media(color_scheme=theme)
        desk.goto("/new-colleagues/sheet")
        codes = desk.locator(".qr").all()
        texts = [text for code in codes for text in read_png(code.screenshot())]
        assert texts == [site.url, *(f"{site.url}/g/{number}" for number in range(1, 11))]
    desk.close()


def test_on_paper_all_is_black_on_white_and_only_the_sheet_is_there(desk: Page) -> None:
    desk.emulate_media(color_scheme="dark", media="print")
    for path in ("/new-colleagues/sheet", "/groups/the-village/poster"):
        desk.goto(path)
        for gone in (".top", ".bottom", ".screen"):
            assert not desk.locator(gone).first.is_visible()
        colours = desk.evaluate(
            """() => [...new Set([...document.querySelectorAll('.paper :is(h1, h2, h3, p)')]
                .map(it => getComputedStyle(it).color))]"""
        )
        assert colours == ["rgb(0, 0, 0)"]
    desk.close()
