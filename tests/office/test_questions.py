"""The office writes the questions of a form, and some are never asked."""

import pytest
from sqlalchemy import update

from belong_mail.groups.models import Question
from belong_mail.groups.questions import asks_sensitive
from belong_mail.groups.seeds import GROUPS
from tests.browser_client import Form
from tests.factories import group_named

PAGE = "/office/groups/the-village/questions"
JOIN = "/groups/the-village/join"
SNACK: dict[str, str] = {
    "label_en": "Which snack do you like?",
    "label_es": "¿Qué merienda te gusta?",
    "kind": "choice",
    "options_en": "Apples\r\n\r\n  Pears ",
    "options_es": "Manzanas\r\nPeras",
}


def asked(services) -> list[Question]:
    with services.reading.begin() as session:
        return list(group_named(session, "the-village").questions)


@pytest.mark.usefixtures("lead")
def test_a_question_that_the_office_adds_is_on_the_form_which_bears_eight(
    office, visitor, services
):
    assert "The list, one answer per line</label>" in office.open(PAGE).text, "not “optional”"
    answer = office.send(PAGE, **SNACK)
    assert "Question added." in office.open(answer.location).text
    question = asked(services)[-1]
    assert question.label == {"en": SNACK["label_en"], "es": SNACK["label_es"]}
    assert question.options == [{"en": "Apples", "es": "Manzanas"}, {"en": "Pears", "es": "Peras"}]
    assert "Which snack do you like?" in visitor.open(JOIN).text
    spanish = visitor.open(f"{JOIN}?lang=es").text
    assert "Manzanas" in spanish
    assert "Apples" not in spanish
    words = "<script>alert(1)</script> {{ 7*7 }} %(x)s"
    assert office.send(PAGE, label_en=words, kind="consent").status_code == 303
    for page in (office.open(PAGE).text, visitor.open(JOIN).text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7*7 }} %(x)s" in page
    fields = Form(office.open(PAGE).text).fields | SNACK
    while len(asked(services)) < 8:
        assert office.press(PAGE, **fields).status_code == 303
    assert "Eight questions are the most" in office.open(PAGE).text
    assert office.press(PAGE, **fields).status_code == 422
    assert len(asked(services)) == 8


@pytest.mark.usefixtures("lead")
def test_the_office_removes_a_question_at_once(office, visitor, services):
    """The group has a lead, or its form would ask nothing."""
    assert "Where do you work with students?" in visitor.open(JOIN).text
    kept, removed = asked(services)
    question_id = removed.id
    assert office.press(f"{PAGE}/{question_id}/remove").status_code == 400
    other = f"/office/groups/asian/questions/{question_id}/remove"
    assert office.act(other).status_code == 404
    assert removed.label["en"] in visitor.open(JOIN).text
    listed = office.open(PAGE).text.partition(f'id="question-{question_id}"')[2]
    assert office.choose(listed, "Remove this question").status_code == 303
    assert [each.id for each in asked(services)] == [kept.id]
    assert removed.label["en"] not in visitor.open(JOIN).text
    assert office.act(f"{PAGE}/{question_id}/remove").status_code == 404


@pytest.mark.parametrize(
    "words", [{"label": {"en": "Tea?", "es": "¿Tu género?"}}, {"options": [{"en": "My religion"}]}]
)
@pytest.mark.usefixtures("lead")
def test_a_sensitive_question_is_on_no_form_whoever_stored_it(visitor, services, words):
    """An intruder in the web can write any question into the database."""
    said = {"position": 9, "kind": "choices", "label": {"en": "Tea?"}, "options": [{"en": "Yes"}]}
    with services.writing.begin() as session:
        group_id = group_named(session, "the-village").id
        session.add(Question(group_id=group_id, **said))
    assert "Tea?" in visitor.open(JOIN).text
    with services.writing.begin() as session:
        written = update(Question).where(Question.position == said["position"])
        session.execute(written.values(**words))
    assert "Tea?" not in visitor.open(JOIN).text


BAD: tuple[dict[str, str], ...] = (
    {"label_en": ""},
    {"label_en": "a" * 91},
    {"label_en": "a\u202eb"},
    {"label_en": "What are your pronouns?"},
    {"label_es": "¿Cuál es tu género?"},
    {"kind": "secret"},
    {"kind": "text"},
    {"options_en": ""},
    {"options_en": "Only one"},
    {"options_en": "\n".join(str(number) for number in range(11))},
    {"options_en": "Apples\n" + "a" * 91},
    {"options_en": "Apples\nBuddhist religion"},
    {"options_es": "Manzanas"},
    {"options_es": "Manzanas\nRaza"},
)


SENSITIVE = (
    "What is your identity?", "Your DIAGNOSIS?", "Pronouns", "Which religion?", "Your race?",
    "Sexual orientation", "p\u00adronouns", "pro\u200bnouns", "ＰＲＯＮＯＵＮＳ",
    "Mental\nhealth",
    "¿Cuál es tu identidad?", "¿Tienes un diagnóstico?", "¿Tus pronombres?", "¿Qué religión?",
    "¿De qué raza?", "Orientación sexual", "Tu GÉNERO", "¿Qué fe tienes?", "Discapacidad",
)  # fmt: skip


def test_an_invalid_question_is_explained_and_the_rest_of_the_form_is_kept(office, services):
    before = len(asked(services))
    for wrong in BAD:
        answer = office.send(PAGE, **SNACK | wrong)
        assert answer.status_code == 422, wrong
        assert "Problem: " in answer.text
        kept = Form(answer.text).fields["label_es"]
        assert "label_es" in wrong or kept == SNACK["label_es"], wrong
    assert len(asked(services)) == before


def test_who_somebody_is_is_never_asked_and_what_groups_ask_today_may_be():
    assert [words for words in SENSITIVE if not asks_sensitive(words)] == []
    asked = [one for each in GROUPS for one in each.get("questions", ())]
    said = [words for one in asked for words in (one["label"], *one.get("options", ()))]
    said += [{"en": "Do you trace your interest to a café?", "es": "¿Generosa ayuda, café?"}]
    assert not [words for each in said for words in each.values() if asks_sensitive(words)]
