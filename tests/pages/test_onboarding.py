"""New colleagues find all groups on a page and on paper."""

import re

import pytest
import zxingcpp

from belong_mail.groups import service as groups
from belong_mail.groups.seeds import GROUPS
from tests.factories import plan_meeting, retire
from tests.markers import on_sqlite
from tests.pages.codes import SCALE, drawn_in, read

SLUGS = [each["slug"] for each in GROUPS]
NAMES = [each["name"] for each in GROUPS]
SUMMARIES = [each.get("summary", {}) for each in GROUPS]
BASE = "http://localhost:5000"


def test_every_short_address_leads_to_its_group_in_the_readers_language(visitor):
    found = [visitor.open(f"/g/{number}").location for number in range(1, len(SLUGS) + 1)]
    assert found == [f"/groups/{slug}" for slug in SLUGS]
    assert visitor.open("/g/1?lang=es").location == f"/groups/{SLUGS[0]}?lang=es"


def test_numbers_that_nobody_printed_lead_to_a_kind_page(visitor, scenario):
    scenario.do(retire, "asian")
    for number in ("2", "0", "11", "99999", "100000", "9" * 40, "-1", "x", "1.5"):
        answer = visitor.open(f"/g/{number}")
        assert answer.status_code == 404, number
        assert "Are you looking for one of these?" in answer.text


@on_sqlite
def test_the_page_leads_to_the_sheet_and_every_poster(visitor):
    page = visitor.open("/new-colleagues")
    assert "Set-Cookie" not in page.headers
    links = re.findall(r'href="([^"]+)"', page.text)
    assert "/new-colleagues/sheet" in links
    assert [link for link in links if link.endswith("/poster")] == [
        f"/groups/{slug}/poster" for slug in SLUGS
    ]
    assert 'href="/new-colleagues"' in visitor.open("/").text


@on_sqlite
def test_the_sheet_has_each_group_once_in_two_languages_with_a_code_that_reads(visitor):
    page = visitor.open("/new-colleagues/sheet").text
    texts = [text for code in drawn_in(page) for text in read(code)]
    assert texts == [BASE, *(f"{BASE}/g/{number}" for number in range(1, len(SLUGS) + 1))]
    typed = re.findall(r'<p class="typed">([^<]+)</p>', page)
    assert [f"http://{each}" for each in typed] == texts[1:]
    assert '<html lang="en"' in page
    assert page.count("There is room for you.") == page.count("Aquí hay lugar para ti.") == 1
    soon = len([each for each in GROUPS if "is_upcoming" in each])
    assert page.count("Starts this year") == page.count("Empieza este año") == soon
    for summary in filter(None, SUMMARIES):
        assert f'<p lang="en">{summary["en"]}</p>' in page
        assert f'<p lang="es">{summary["es"]}</p>' in page


def test_words_that_a_group_has_in_one_language_stand_there_once(visitor, scenario):
    scenario.do(groups.add, "night", "Night Shift", "For the <night>.", is_upcoming=False)
    page = visitor.open("/new-colleagues/sheet").text
    assert page.count("For the &lt;night&gt;.") == 1
    assert len(drawn_in(page)) == len(SLUGS) + 2


@on_sqlite
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_poster_says_what_the_group_is_and_its_code_reads(visitor, language):
    for number, (slug, name) in enumerate(zip(SLUGS, NAMES, strict=True), 1):
        page = visitor.open(f"/groups/{slug}/poster?lang={language}").text
        assert f">{name}</h1>" in page
        [code] = drawn_in(page)
        [found] = zxingcpp.read_barcodes(code)
        assert found.text == f"{BASE}/g/{number}"
        assert found.ec_level != "L", "it reads although a seventh of it is spoiled"
        assert code.crop((0, 0, code.width, 4 * SCALE)).getextrema() == (255, 255), "white around"
        assert f'<p class="typed">localhost:5000/g/{number}</p>' in page
        is_open = visitor.open(f"/groups/{slug}/join").status_code == 200
        assert ("we’ll tell you" in page or "te avisaremos" in page) is not is_open
    assert visitor.open("/groups/nowhere/poster").status_code == 404


@on_sqlite
def test_a_poster_shows_the_next_dates_where_there_are_meetings(scenario, visitor):
    poster = "/groups/the-village/poster"
    assert "Next dates" not in visitor.open(poster).text
    scenario.do(plan_meeting, repeats="weekly", place="Room <4>", is_open=True)
    scenario.do(plan_meeting, place="Behind closed doors", is_open=False)
    page = visitor.open(poster).text
    assert page.count("4:00 – 5:00 PM") == 3
    assert "Room &lt;4&gt;" in page
    assert "Behind closed doors" not in page
    assert "Próximas fechas" in visitor.open(f"{poster}?lang=es").text
