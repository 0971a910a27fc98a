"""Groups: seeded once, added, retired; their words in each language."""

import pytest
from sqlalchemy import text

from belong_mail.core.i18n import NAMES
from belong_mail.groups import service as groups
from belong_mail.groups.presenters import group_view
from tests.factories import group_named
from tests.markers import on_both


@on_both("sequences")
def test_the_seeds_are_ten_groups_with_words_in_every_language_and_are_sown_once(session):
    groups.seed(session)
    listed = groups.listed(session)
    names = {group.public_id for group in listed}
    assert len(listed) == len(names) == 10
    assert all(len(name) == 22 for name in names), "opaque, for headers"
    for group in listed:
        for words in (group.summary, group.note, group.mission, group.activities, group.audience):
            assert set(words) in (set(), set(NAMES))
        for question in group.questions:
            for words in (question.label, *question.options):
                assert set(words) == set(NAMES)
                assert max(map(len, words.values())) <= 90


def test_a_group_is_added_at_the_end_and_its_hue_goes_by_place_and_begins_again(session):
    added = groups.add(session, "night-shift", "Night Shift", "For the night.", is_upcoming=False)
    session.flush()
    listed = groups.listed(session)
    assert listed[-1] is added
    assert added.is_open
    assert group_view(added, "es").summary == "For the night."
    assert [group_view(group, "en").hue for group in listed] == [*range(1, 11), 1]


@pytest.mark.parametrize("odd", ["5", "[5]", '{"en": 5, "xx": "a"}', '{"en": "\\ud800"}'])
def test_a_page_stands_whatever_an_intruder_wrote_as_its_texts(odd, services, visitor):
    columns = "summary", "mission", "activities", "audience", "note", "welcome"
    changes = ", ".join(f"{each} = :odd" for each in columns)
    with services.writing.begin() as session:
        session.execute(text(f"UPDATE groups SET {changes}"), {"odd": odd})  # noqa: S608 - our own
    for page in ("/", "/groups/the-village"):
        assert visitor.open(page).status_code == 200


def test_a_slug_that_is_odd_or_taken_is_refused_and_a_name_makes_one_of_60_letters_at_most(session):
    groups.mark_retired(session, group_named(session, "asian"))
    assert groups.find(session, "asian") is None
    taken = ("asian", "lgbtq")
    for slug in (*taken, "", "Asian", "a b", "-a", "a-", "a--b", "é", "a/b", "a\n", "..", "a_b"):
        with pytest.raises(groups.InvalidSlug):
            groups.add(session, slug, "Name", "", is_upcoming=False)
    assert groups.slug_for("Café & Té") == "cafe-te"
    assert groups.slug_for("x" * 56 + "ﬃ y") == "x" * 56 + "ffi"
