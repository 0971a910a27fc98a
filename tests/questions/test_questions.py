"""Leads propose the questions of their form, the office says yes, and some are never asked."""

from typing import Any

import pytest
from sqlalchemy import select

from belong_mail.core.services import Services
from belong_mail.groups.models import Question
from belong_mail.groups.seeds import INTERESTS, QUESTIONS
from belong_mail.leads.question_approval import asks_sensitive
from tests.browser_client import Form, Visitor
from tests.db_dump import dump_of, kept_of
from tests.factories import group_named

PAGE = "/lead/groups/the-village/questions"
JOIN = "/groups/the-village/join"
SNACK: dict[str, str] = {
    "label_en": "Which snack do you like?",
    "label_es": "¿Qué merienda te gusta?",
    "kind": "choice",
    "options_en": "Apples\r\n\r\n  Pears ",
    "options_es": "Manzanas\r\nPeras",
}


def proposed(services: Services) -> list[Question]:
    """List what waits for the office."""
    with services.reading.begin() as session:
        return list(session.scalars(select(Question).where(Question.approved_at.is_(None))))


def test_a_question_is_asked_when_the_office_has_said_yes(
    lead: Visitor, visitor: Visitor, services: Services, cli: Any
) -> None:
    assert lead.send(PAGE, **SNACK).status_code == 303
    [question] = proposed(services)
    assert question.label == {"en": SNACK["label_en"], "es": SNACK["label_es"]}
    assert question.options == [
        {"en": "Apples", "es": "Manzanas"},
        {"en": "Pears", "es": "Peras"},
    ]
    assert "Waiting for the office to approve." in lead.open(PAGE).text
    assert "snack" not in visitor.open(JOIN).text

    listed = cli.invoke(args=["question", "list"]).output.splitlines()
    assert listed[0].split("\t")[:4] == [str(question.id), "waits", "the-village", "choice"]
    assert "Pears / Peras" in listed[0]
    assert all("\tasked\t" in line for line in listed[1:])
    assert cli.invoke(args=["question", "approve", str(question.id)]).exit_code == 0

    assert "Waiting for" not in lead.open(PAGE).text
    assert "Which snack do you like?" in visitor.open(JOIN).text
    spanish = visitor.open(f"{JOIN}?lang=es").text
    assert "Manzanas" in spanish
    assert "Apples" not in spanish


def test_what_the_office_refuses_is_gone(lead: Visitor, services: Services, cli: Any) -> None:
    lead.send(PAGE, **SNACK)
    [question] = proposed(services)
    assert cli.invoke(args=["question", "refuse", str(question.id)]).exit_code == 0
    assert proposed(services) == []
    assert "snack" not in lead.open(PAGE).text
    for verb in ("approve", "refuse"):
        answer = cli.invoke(args=["question", verb, str(question.id)])
        assert answer.exit_code == 1
        assert "There is no such question." in answer.output


def test_a_lead_removes_a_question_at_once(
    lead: Visitor, visitor: Visitor, services: Services
) -> None:
    assert "Where do you work with students?" in visitor.open(JOIN).text
    with services.reading.begin() as session:
        question_id = group_named(session, "the-village").questions[0].id
    token = Form(lead.open(PAGE).text).fields["csrf_token"]
    assert lead.press(f"{PAGE}/{question_id}/remove").status_code == 400
    assert lead.press(f"{PAGE}/{question_id}/remove", csrf_token=token).status_code == 303
    assert "Where do you work with students?" not in visitor.open(JOIN).text
    assert lead.press(f"{PAGE}/{question_id}/remove", csrf_token=token).status_code == 404


BAD: tuple[dict[str, str], ...] = (
    {"label_en": ""},
    {"label_en": " "},
    {"label_en": "a" * 91},
    {"label_en": "a\x00b"},
    {"label_en": "a\u202eb"},
    {"label_en": "What are your pronouns?"},
    {"label_es": "¿Cuál es tu género?"},
    {"label_es": "a" * 91},
    {"kind": "secret"},
    {"kind": ""},
    {"kind": "text"},
    {"options_en": ""},
    {"options_en": "Only one"},
    {"options_en": "\n".join(str(number) for number in range(11))},
    {"options_en": "Apples\n" + "a" * 91},
    {"options_en": "Apples\nBuddhist religion"},
    {"options_es": "Manzanas"},
    {"options_es": "Manzanas\nRaza"},
)


@pytest.mark.parametrize("wrong", BAD, ids=str)
def test_what_cannot_be_asked_is_explained_and_the_rest_is_kept(
    lead: Visitor, services: Services, wrong: dict[str, str]
) -> None:
    answer = lead.send(PAGE, **SNACK | wrong)
    assert answer.status_code == 422
    assert "Problem: " in answer.text
    assert proposed(services) == []
    if "label_es" not in wrong:
        assert Form(answer.text).fields["label_es"] == SNACK["label_es"]


def test_markup_is_shown_as_it_is(lead: Visitor) -> None:
    words = "<script>alert(1)</script> {{ 7*7 }} %(x)s"
    assert lead.send(PAGE, label_en=words, kind="consent").status_code == 303
    page = lead.open(PAGE).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7*7 }} %(x)s" in page


def test_a_form_bears_eight_questions(lead: Visitor, services: Services) -> None:
    fields = Form(lead.open(PAGE).text).fields | SNACK
    for _ in range(7):
        assert lead.press(PAGE, **fields).status_code == 303
    assert "Eight questions are the most" in lead.open(PAGE).text
    assert lead.press(PAGE, **fields).status_code == 422
    assert len(proposed(services)) == 7


def test_another_groups_questions_are_not_there(
    lead: Visitor, other_lead: Visitor, services: Services
) -> None:
    lead.send(PAGE, **SNACK)
    with services.reading.begin() as session:
        ids = [each.id for each in group_named(session, "the-village").questions]
    token = Form(other_lead.open("/lead/").text).fields["csrf_token"]
    before = kept_of(services)["questions"]
    assert other_lead.open(PAGE).status_code == 404
    assert other_lead.press(PAGE, csrf_token=token, **SNACK).status_code == 404
    for slug in ("the-village", "asian"):
        for question_id in ids:
            url = f"/lead/groups/{slug}/questions/{question_id}/remove"
            assert other_lead.press(url, csrf_token=token).status_code == 404
    assert dump_of(services)["questions"] == before


def test_strangers_neither_see_nor_change_questions(visitor: Visitor, services: Services) -> None:
    before = kept_of(services)
    assert visitor.open(PAGE).status_code == 302
    assert visitor.press(PAGE, **SNACK).status_code in {400, 403}
    assert visitor.press(f"{PAGE}/1/remove").status_code in {400, 403}
    assert kept_of(services) == before


@pytest.mark.parametrize(
    "words",
    [
        "What is your identity?", "Your DIAGNOSIS?", "Pronouns", "Which religion?", "Your race?",
        "Sexual orientation", "p\u00adronouns", "pro\u200bnouns", "ＰＲＯＮＯＵＮＳ",
        "Mental\nhealth",
        "¿Cuál es tu identidad?", "¿Tienes un diagnóstico?", "¿Tus pronombres?", "¿Qué religión?",
        "¿De qué raza?", "Orientación sexual", "Tu GÉNERO", "¿Qué fe tienes?", "Discapacidad",
    ],
)  # fmt: skip
def test_who_somebody_is_is_never_asked(words: str) -> None:
    assert asks_sensitive(words)


def test_what_groups_ask_today_may_be_asked() -> None:
    said = [label for questions in QUESTIONS.values() for _kind, label, _options in questions]
    said += [label for labels in INTERESTS.values() for label in labels]
    said += [{"en": "Do you trace your interest to a café?", "es": "¿Generosa ayuda, café?"}]
    assert not [words for each in said for words in each.values() if asks_sensitive(words)]
