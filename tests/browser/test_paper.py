"""Pages as the printer prints them: one page, nothing cut, and codes that a phone reads."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal

import pytest
from playwright.sync_api import Page
from sqlalchemy import delete, update

from belong_mail.core.db import now
from belong_mail.groups import seeds
from belong_mail.groups.models import Group
from belong_mail.meetings.models import Meeting
from tests.markers import night
from tests.pages.codes import read_png

pytestmark = night("journeys in a browser")

PAGES = re.compile(rb"/Type\s*/Page\b")
BOX = re.compile(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]")
# The first day of the next month that begins on a Saturday and has 31 days, and so six weeks.
FIRST = next(
    day
    for day in (now().date() + timedelta(days=each) for each in range(1, 4000))
    if (day.day, day.isoweekday()) == (1, 6) and (day + timedelta(days=30)).day == 31
)
ALL = [each["slug"] for each in seeds.GROUPS]
# Those with the longest names and words, and one that has not started.
GROUPS = (
    "african-american-black", "citizens-of-the-world", "deconstructing-privilege",
    "people-with-disabilities",
)  # fmt: skip
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def desk(browser, site, language) -> Iterator[Page]:
    page = browser.new_page(
        base_url=site.url, locale=language, viewport={"width": 1280, "height": 900}
    )
    yield page
    page.close()


@pytest.fixture(scope="module")
def busy(site) -> date:
    """Let ten groups meet every week of a month of six weeks, and return its first day.

    Some of them meet soon too, at places with long names, and have as many words as there may be.
    """
    place = "Evie Garrett Dennis Campus, Building 2, Room 1245, 4800 Telluride Street, Denver"
    plans = [
        {"slug": slug, "starts_on": FIRST + timedelta(days=number % 5 + 2), "repeats": "weekly",
         "until": FIRST + timedelta(days=30), "title": {"en": "Community evening"},
         "is_open": True, "place": place}
        for number, slug in enumerate(ALL)
    ] + [
        {"slug": slug, "repeats": "weekly", "is_open": True, "place": f"{place}, {place}"}
        for slug in GROUPS
    ]  # fmt: skip
    site.execute(delete(Meeting))
    site.plan_meetings(*plans)
    longest = dict.fromkeys(
        ("en", "es"), ("Empowerment and development for every colleague. " * 4)[:160]
    )
    named = update(Group).where(Group.slug.in_(GROUPS))
    site.execute(named.values(summary=longest, audience=longest))
    return FIRST


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_a_busy_month_is_one_landscape_page(desk, busy, paper):
    for path in (
        f"/calendar/{busy:%Y-%m}",
        "/calendar/2020-02",
        f"/calendar/{busy:%Y-%m}?group=asian",
    ):
        desk.goto(path)
        printed = desk.pdf(format=paper, prefer_css_page_size=True)
        assert len(PAGES.findall(printed)) == 1, path
        [width, height] = map(float, BOX.findall(printed)[0])
        assert width > height


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.usefixtures("busy")
def test_the_sheet_and_every_poster_are_one_page(desk, paper):
    for path in ("/new-colleagues/sheet", *(f"/groups/{slug}/poster" for slug in GROUPS)):
        desk.goto(path)
        assert len(PAGES.findall(desk.pdf(format=paper))) == 1, path


def test_a_phone_reads_every_code_from_the_screen_in_either_theme(desk, site):
    for theme in THEMES:
        desk.emulate_media(color_scheme=theme)
        desk.goto("/new-colleagues/sheet")
        codes = desk.locator(".qr").all()
        texts = [text for code in codes for text in read_png(code.screenshot())]
        assert texts == [site.url, *(f"{site.url}/g/{number}" for number in range(1, 11))]


@pytest.mark.usefixtures("busy")
def test_a_poster_has_its_groups_color_and_fits_the_narrowest_phone(desk):
    for slug in GROUPS:
        desk.goto(f"/groups/{slug}/poster")
        desk.set_viewport_size({"width": 320, "height": 640})
        assert desk.evaluate("document.documentElement.scrollWidth") == 320, slug
        for media in ("screen", "print"):
            desk.emulate_media(media=media)
            fill = desk.locator(".poster circle").first.evaluate("it => getComputedStyle(it).fill")
            assert fill.startswith("oklch(0.8 0.115"), (slug, media, fill)


def test_on_paper_letters_are_black_and_only_the_sheet_is_there(desk):
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
