"""Groups: seeded once, added, retired; their words in each language."""

import pytest
from sqlalchemy import text

from belong_mail.contact.models import Thread
from belong_mail.core.db import now
from belong_mail.core.i18n import NAMES
from belong_mail.groups import service as groups
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import service as newsletters
from tests.factories import group_named, plan_meeting
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


def test_a_group_is_added_at_the_end_and_its_hue_begins_again(session):
    added = groups.add(session, "night-shift", "Night Shift", "For the night.", is_upcoming=False)
    session.flush()
    listed = groups.listed(session)
    assert listed[-1] is added
    assert added.is_open
    assert groups.launch_undo_until(added) is None, "it was never started"
    assert group_view(added, "es").summary == "For the night."
    hues = [group_view(group, "en").hue for group in listed]
    assert {*hues} == {*range(1, 11)}
    assert hues[-1] == hues[0]


def test_the_group_that_ended_last_is_listed_first(session):
    for slug in ("asian", "lgbtq", "the-village"):
        groups.mark_retired(session, group_named(session, slug))
    slugs = [each.slug for each in groups.listed_ended(session)]
    assert slugs == ["the-village", "lgbtq", "asian"]


@pytest.mark.parametrize(
    "odd",
    [
        "5", "[5]", '{"en": 5, "xx": "a"}', '{"en": "\\ud800"}',
        '[{"title": 5, "url": "https://\\ud800"}, {"url": 5}]', '[{"url": "javascript:alert(1)"}]',
    ],
)  # fmt: skip
def test_a_page_stands_whatever_an_intruder_wrote_as_its_texts(
    odd, services, visitor, lead, office
):
    columns = (
        "summary", "mission", "activities", "audience", "note", "welcome", "resources", "before",
    )  # fmt: skip
    changes = ", ".join(f"{each} = :odd" for each in columns)
    with services.writing.begin() as session:
        session.execute(text(f"UPDATE groups SET {changes}"), {"odd": odd})  # noqa: S608 - our own
        session.execute(text("UPDATE questions SET label = :odd, options = :odd"), {"odd": odd})
        session.execute(text("UPDATE questions SET kind = 'odd' WHERE id % 2 = 0"))
    for page in ("/", "/groups/asian", "/groups/asian/join"):
        assert visitor.open(page).status_code == 200
        assert "javascript:" not in visitor.open(page).text
    assert lead.open("/lead/groups/asian/page").status_code == 200
    assert lead.send("/lead/groups/asian/page", undo="1").status_code == 303
    assert lead.open("/lead/groups/asian/page").status_code == 200
    assert office.open("/office/groups/asian/questions").status_code == 200


def test_leaders_and_the_office_find_their_pages_whatever_rows_an_intruder_left(
    lead, office, services
):
    with services.writing.begin() as session:
        group = group_named(session, "asian")
        group.name = ""
        plan_meeting(session, group.slug, repeats="odd")
        session.add(Thread(reference="odd", receipt_key=b"odd", topic="odd"))
        newsletters.draft(session, group, "Hi", "Hello").paused_at = now()
    for page in ("", "/newsletters", "/groups/asian", "/groups/asian/questions"):
        assert office.open(f"/office{page}").status_code == 200
    assert lead.open("/lead/groups/asian/meetings").status_code == 200


def test_a_slug_that_is_odd_or_taken_is_refused_and_a_name_makes_one_of_60_letters_at_most(session):
    groups.mark_retired(session, group_named(session, "asian"))
    assert groups.find(session, "asian") is None
    taken = ("asian", "lgbtq")
    for slug in (*taken, "", "Asian", "a b", "-a", "a-", "a--b", "é", "a/b", "a\n", "..", "a_b"):
        with pytest.raises(groups.InvalidSlug):
            groups.add(session, slug, "Name", "", is_upcoming=False)
    assert groups.slug_for("Café & Té") == "cafe-te"
    assert groups.slug_for("x" * 56 + "ﬃ y") == "x" * 56 + "ffi"
