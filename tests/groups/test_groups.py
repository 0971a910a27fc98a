"""Groups: seeded once, added, retired; their words in each language."""

import pytest
from sqlalchemy import func, select

from belong_mail.core.i18n import NAMES
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view, localized
from tests.factories import group_named
from tests.markers import on_both


@on_both("sequences")
def test_seeding_a_database_that_has_groups_changes_nothing(session):
    before = session.scalar(select(func.count(Group.id)))
    groups.seed(session)
    assert session.scalar(select(func.count(Group.id))) == before == 10


def test_the_seeds_are_words_in_every_language(session):
    for group in groups.listed(session):
        for words in (group.summary, group.note, group.mission, group.activities, group.audience):
            assert set(words) in (set(), set(NAMES))
        for question in group.questions:
            for words in (question.label, *question.options):
                assert set(words) == set(NAMES)
                assert max(map(len, words.values())) <= 90


def test_a_group_is_added_at_the_end(session):
    added = groups.add(session, "night-shift", "Night Shift", "For the night.", is_upcoming=False)
    session.flush()
    assert groups.listed(session)[-1] is added
    assert added.is_open
    assert group_view(added, "es").summary == "For the night."


def test_a_slug_that_is_taken_or_odd_is_refused(session):
    for slug in ("asian", "", "Asian", "a b", "-a", "a-", "a--b", "é", "a/b", "a\n", "..", "a_b"):
        with pytest.raises(groups.InvalidSlug):
            groups.add(session, slug, "Name", "", is_upcoming=False)


def test_a_retired_groups_slug_stays_taken(session):
    groups.mark_retired(session, group_named(session, "asian"))
    assert groups.find(session, "asian") is None
    with pytest.raises(groups.InvalidSlug):
        groups.add(session, "asian", "Another", "", is_upcoming=False)


def test_of_two_groups_of_a_name_the_one_with_more_to_hide_is_meant(session):
    first, second = group_named(session, "asian"), group_named(session, "lgbtq")
    first.known_names = second.known_names = ["Tea"]
    assert second.is_discreet
    assert first.id < second.id
    assert groups.as_named(session, "Tea") is second


def test_hues_go_by_place_and_begin_again_after_ten(session):
    groups.add(session, "eleventh", "Eleventh", "", is_upcoming=True)
    session.flush()
    hues = [group_view(group, "en").hue for group in groups.listed(session)]
    assert hues == [*range(1, 11), 1]


def test_words_that_are_missing_in_a_language_are_said_in_ours():
    assert localized({"en": "Hello"}, "es") == "Hello"
    assert localized({"en": "Hello", "es": "Hola"}, "es") == "Hola"
    assert localized({"en": "Hello", "es": ""}, "es") == "Hello"
    assert localized({}, "es") == ""


def test_groups_have_opaque_names_for_headers(services):
    with services.reading.begin() as session:
        names = {group.public_id for group in groups.listed(session)}
        slugs = {group.slug for group in groups.listed(session)}
    assert len(names) == 10
    assert all(len(name) == 22 for name in names)
    assert not names & slugs
