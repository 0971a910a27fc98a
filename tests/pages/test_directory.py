"""The directory and the groups' pages: the district's groups, and who can see that one joined."""

import re
from html import unescape

import pytest

from belong_mail.core import i18n
from belong_mail.core.i18n import NAMES
from belong_mail.groups import service as groups
from belong_mail.groups.seeds import GROUPS
from tests.factories import group_named
from tests.words import Reader

UPCOMING = {each["slug"]: each["name"] for each in GROUPS if "is_upcoming" in each}
ESTABLISHED = {each["slug"]: each["name"] for each in GROUPS if each["slug"] not in UPCOMING}
# Roles are said, because a narrow screen has no table.
WHO_SEES = re.compile(
    r'<th scope="row" role="rowheader">([^<]+)</th>\s*<td[^>]* role="cell"><strong>([^<]+)<'
)
WHO_CAN_SEE = {
    "Other members": "No.",
    "The group’s leaders": "No, unless you ask to be introduced.",
    "The Belong office": "It has no list.",
    "The people who run DPS email": "They can.",
    "The district": "It could.",
    "People at a meeting": "They see you.",
}


def test_the_directory_shows_the_groups_of_the_district_each_with_one_short_line(visitor):
    today, soon = visitor.open("/").text.split('id="upcoming"')
    for part, expected in ((today, ESTABLISHED), (soon, UPCOMING)):
        found = re.findall(r'<h3><a href="/groups/([^"]+)">([^<]+)</a></h3>', part)
        assert dict(found) == expected
        assert [slug for slug, _ in found] == list(expected)
    for language in ("en", "es"):
        lines = re.findall(r"</h3>\s*<p>([^<]+)</p>", visitor.open(f"/?lang={language}").text)
        assert len(set(lines)) == len(lines) == len(ESTABLISHED)
        assert all(20 < len(unescape(line)) <= 90 for line in lines)


def test_one_group_writes_its_charter_now(visitor):
    page = visitor.open("/").text
    assert page.count("Writing our charter now") == 1
    first_card = page.partition("<h3>")[2].partition("</li>")[0]
    assert "African American/Black" in first_card
    assert "Writing our charter now" in first_card
    assert "Writing our charter now" in visitor.open("/groups/african-american-black").text
    assert "Writing our charter now" not in visitor.open("/groups/asian").text


@pytest.mark.parametrize("settings", [{"BELONG_VIDEO_URL": "https://video.example.org/belong"}])
def test_the_offices_video_is_shown_when_it_is_set(visitor):
    assert 'href="https://video.example.org/belong"' in visitor.open("/").text
    assert "Watch members talk about their groups" in visitor.open("/").text


def test_an_open_group_links_to_its_form_and_says_who_can_see_a_member(visitor):
    for slug, name in (ESTABLISHED | UPCOMING).items():
        page = visitor.open(f"/groups/{slug}").text
        assert f"<h1>{name}</h1>" in unescape(page)
        if slug in UPCOMING:
            assert "You can’t join yet" in page
            assert "/join" not in page
            assert 'href="/contact"' in page
        else:
            assert f'href="/groups/{slug}/join"' in page
    for path in ["/privacy", *(f"/groups/{slug}" for slug in ESTABLISHED)]:
        page = visitor.open(path).text
        table = page.partition("Who can see that I joined?")[2].partition("</section>")[0]
        said = dict(WHO_SEES.findall(table))
        assert said | WHO_CAN_SEE == said, path
        assert not re.search(r"<(?:table|thead|tbody|tr|th|td)\b(?![^>]* role=)", page), path
        assert page.count("<caption") == page.count("<table"), path


# The district's words about each group are on its page, in both languages, in fresh words.


def words_of(page: str) -> str:
    return " ".join(" ".join(Reader(page).pieces).split())


def test_each_established_group_has_its_mission_and_activities_on_its_page_in_both_languages(
    visitor,
):
    """Within the limits of the form in which leaders change them."""
    for own in (each for each in GROUPS if "is_upcoming" not in each):
        for code in NAMES:
            page = words_of(visitor.open(f"/groups/{own['slug']}?lang={code}").text)
            mission, activities = own["mission"][code], own["activities"][code].splitlines()
            assert len(mission) <= 800
            assert len(activities) == len(own["activities"][i18n.DEFAULT].splitlines()) <= 10
            assert all(len(each) <= 250 for each in activities)
            for words in (*filter(None, mission.splitlines()), *activities):
                assert words in page, own["slug"]


def test_nothing_is_invented_for_groups_that_are_to_come(visitor):
    for slug in (each["slug"] for each in GROUPS if "is_upcoming" in each):
        for code in NAMES:
            page = visitor.open(f"/groups/{slug}?lang={code}").text
            assert 'id="mission"' not in page
            assert 'id="activities"' not in page
            assert 'class="lead"' not in page
            assert not re.search(r"<p[^>]*>\s*</p>", page)


def test_only_the_group_of_which_the_district_says_so_welcomes_all_staff(visitor, services):
    with services.reading.begin() as session:
        slugs = [group.slug for group in groups.listed(session)]
    for page in ("", "/poster"):
        said = {
            slug: words_of(visitor.open(f"/groups/{slug}{page}").text).casefold() for slug in slugs
        }
        welcome = {slug for slug in slugs if "all staff" in said[slug]}
        assert welcome == {"deconstructing-privilege"}
        assert not [slug for slug in slugs if re.search("open to all|all employees", said[slug])]


def test_a_mission_comes_before_who_can_see_which_collapses_after_its_first_rows(visitor):
    page = visitor.open("/groups/the-village").text
    parts = [page.index(f'id="{name}"') for name in ("mission", "activities", "next", "seen")]
    assert parts == sorted(parts)
    seen = page.partition('id="seen"')[2].partition("</section>")[0]
    first, _, more = seen.partition("<details")
    assert first.count('scope="row"') == 3
    assert more.count('scope="row"') == 4
    assert "The people who run DPS email" in first


def test_words_in_another_language_than_the_pages_are_marked(visitor, services):
    with services.writing.begin() as session:
        village = group_named(session, "the-village")
        village.mission, village.activities = {"en": "To\n\nlearn."}, {"en": "Tea\nTalks"}
        village.summary, village.audience = {"en": "One line."}, {"en": "Come in"}
        village.resources = [{"title": {"en": "Help"}, "url": "tel:988"}]
    page = visitor.open("/groups/the-village?lang=es").text
    assert '<div class="mission" lang="en"><p>To</p><p>learn.</p></div>' in page
    assert '<ul class="activities" role="list" lang="en"><li>Tea</li><li>Talks</li></ul>' in page
    assert '<p class="lead" lang="en">One line.</p>' in page
    assert '<li lang="en">Come in</li>' in page
    assert '<a href="tel:988" rel="noreferrer" lang="en">Help</a><span>988</span>' in page
    assert 'class="mission" lang' not in visitor.open("/groups/the-village?lang=en").text


def test_a_title_has_words_alone_whatever_language_a_name_is_in(visitor, services):
    with services.writing.begin() as session:
        group_named(session, "the-village").name = "Tea & <i>talk</i>"
    page = visitor.open("/groups/the-village/join?lang=es").text
    assert "<title>Únete al grupo Tea &amp; &lt;i&gt;talk&lt;/i&gt; · DPS Belong</title>" in page
    assert '<span lang="en">Tea &amp; &lt;i&gt;talk&lt;/i&gt;</span></h1>' in page
