"""The directory and the groups' pages: the district's groups, and who can see that one joined."""

import re
from html import unescape

import pytest

from belong_mail.groups.seeds import GROUPS

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


def test_an_open_group_links_to_its_form_and_each_says_who_can_see_a_member(
    visitor,
):
    for slug, name in (ESTABLISHED | UPCOMING).items():
        page = visitor.open(f"/groups/{slug}").text
        assert f"<h1>{name}</h1>" in unescape(page)
        if slug in UPCOMING:
            assert "You can’t join yet" in page
            assert "/join" not in page
            assert 'href="/contact"' in page
        else:
            assert f'href="/groups/{slug}/join"' in page
    for path in ["/privacy", *(f"/groups/{slug}" for slug in ESTABLISHED | UPCOMING)]:
        page = visitor.open(path).text
        table = page.partition("Who can see that I joined?")[2].partition("</section>")[0]
        said = dict(WHO_SEES.findall(table))
        assert said | WHO_CAN_SEE == said, path
        assert not re.search(r"<(?:table|thead|tbody|tr|th|td)\b(?![^>]* role=)", page), path
        assert page.count("<caption") == page.count("<table"), path
