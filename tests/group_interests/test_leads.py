"""A leader says what people can help with: up to six, in each language."""

import pytest
from sqlalchemy import select

from belong_mail.groups.models import GroupInterest
from tests.browser_client import Form, Visitor
from tests.group_interests.charter import CHARTER, EVENTS, SLUG, Helpers

PAGE = f"/lead/groups/{SLUG}/interests"
JOIN = f"/groups/{SLUG}/join"
BOOKS = {"label_en": "A reading circle", "label_es": "Un círculo de lectura"}


def test_a_lead_finds_the_page_from_the_groups_page(lead: Visitor) -> None:
    assert PAGE in lead.open(f"/lead/groups/{SLUG}/page").text
    assert CHARTER in lead.open(PAGE).text


def test_what_is_added_is_offered_at_once_in_both_languages(
    lead: Visitor, visitor: Visitor
) -> None:
    assert lead.send(PAGE, **BOOKS).status_code == 303
    assert "A reading circle" in visitor.open(JOIN).text
    assert "Un círculo de lectura" in visitor.open(f"{JOIN}?lang=es").text


def test_the_groups_page_says_what_people_can_help_with(lead: Visitor, visitor: Visitor) -> None:
    page = f"/groups/{SLUG}"
    assert "A reading circle" not in visitor.open(page).text
    lead.send(PAGE, **BOOKS)
    assert "<li>A reading circle</li>" in visitor.open(page).text
    assert "<li>Un círculo de lectura</li>" in visitor.open(f"{page}?lang=es").text


def test_the_label_in_the_second_language_may_be_missing(lead: Visitor, visitor: Visitor) -> None:
    assert lead.send(PAGE, label_en="A reading circle").status_code == 303
    assert "A reading circle" in visitor.open(f"{JOIN}?lang=es").text


@pytest.mark.parametrize(
    "wrong",
    [
        {"label_en": ""}, {"label_en": " "}, {"label_en": "a" * 61}, {"label_es": "a" * 61},
        {"label_en": "a\x00b"}, {"label_en": "a\u202eb"}, {"label_en": "Meeting gay colleagues"},
        {"label_es": "Hablar de tu religión"},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_explained(
    lead: Visitor, scenario: Helpers, wrong: dict[str, str]
) -> None:
    before = scenario.rows("group_interests")
    answer = lead.send(PAGE, **BOOKS | wrong)
    assert answer.status_code == 422
    assert "Problem: " in answer.text
    assert scenario.rows("group_interests") == before


def test_six_are_the_most(lead: Visitor) -> None:
    fields = Form(lead.open(PAGE).text).fields | BOOKS
    for _ in range(2):
        assert lead.press(PAGE, **fields).status_code == 303
    assert "Six is the most." in lead.open(PAGE).text
    assert lead.press(PAGE, **fields).status_code == 422


def test_who_ticked_it_stays_when_it_is_renamed(lead: Visitor, scenario: Helpers) -> None:
    scenario.made("ada@dpsk12.org", CHARTER)
    url = f"{PAGE}/{scenario.interest(CHARTER)}"
    assert Form(lead.open(url).text).fields["label_en"] == CHARTER
    assert lead.send(url, label_en="").status_code == 422
    assert lead.send(url, label_en="Writing the charter").status_code == 303
    assert scenario.ticked("ada@dpsk12.org") == {"Writing the charter"}
    assert CHARTER not in lead.open(PAGE).text


def test_what_is_retired_is_offered_no_more_and_its_ticks_are_deleted(
    lead: Visitor, scenario: Helpers
) -> None:
    scenario.made("ada@dpsk12.org", CHARTER, EVENTS)
    chosen = scenario.interest(CHARTER)
    url = f"{PAGE}/{chosen}/retire"
    asks = lead.open(url)
    assert "You can’t undo this." in asks.text
    assert CHARTER in lead.open(PAGE).text
    assert lead.press(url).status_code == 400
    token = Form(asks.text).fields["csrf_token"]
    assert lead.press(url, csrf_token=token).status_code == 303
    assert CHARTER not in lead.open(PAGE).text
    assert CHARTER not in scenario.visitor.open(JOIN).text
    assert scenario.visitor.join(SLUG, "ben@dpsk12.org", interests=[chosen]).status_code == 422
    scenario.minute()
    with scenario.services.writing.begin() as session:
        found = select(GroupInterest).where(GroupInterest.public_id == chosen)
        interest = session.scalars(found).one()
        assert interest.forgotten_at is not None
        interest.retired_at = None
    assert scenario.ticked("ada@dpsk12.org") == {EVENTS}
    assert lead.open(url).status_code == 200
