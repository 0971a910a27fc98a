"""The questions of a group's sign-up form: their types, and topics that none may ask about."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wtforms import BooleanField, Field, RadioField, SelectMultipleField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.core.i18n import TextIn, sensitive_words
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group, Question
from belong_mail.groups.presenters import localized
from belong_mail.mail.message.plain_words import plain
from belong_mail.web.forms import text_field
from belong_mail.web.language import gettext as _

# Most questions of a group, so that no one has to fill in a long form.
MAX_QUESTIONS = 8


def asked(group: Group) -> list[Question]:
    """Return the questions of a group's form.

    Leaves out questions that only an intruder in the web could add: of an unknown type, or about
    identity, health, pronouns, religion, race or orientation.
    """
    known = (each for each in group.questions if each.kind in QUESTION_TYPES)
    return [each for each in known if not any(map(asks_sensitive, words_of(each)))]


def question_view(question: Question, language: str) -> tuple[Question, str, list[TextIn]]:
    """Return a question with its label and options in a language."""
    options = [localized(each, language) for each in question.options]
    return question, localized(question.label, language), options


def words_of(question: Question) -> list[str]:
    """Return a question's label and options in all languages."""
    return [words for each in (question.label, *question.options) for words in each.values()]


def _pattern(word: str) -> str:
    """Return a pattern for a word; with a star at its end it matches longer words, too."""
    ending = r"\w*" if word.endswith("*") else ""
    return re.escape(plain(word.removesuffix("*"))) + ending


SENSITIVE_WORDS = re.compile(
    r"\b(?:"
    + "|".join(_pattern(word) for words in sensitive_words("questions") for word in words)
    + r")\b"
)


# The same few words are asked about each time that a form is shown.
@lru_cache(maxsize=1000)
def asks_sensitive(text: str) -> bool:
    """Return whether a text asks for identity, health, pronouns, religion, race or orientation."""
    return SENSITIVE_WORDS.search(" ".join(plain(text).split())) is not None


@dataclass(frozen=True)
class QuestionType:
    """A type of question: its name for the office, its form field, and whether it has options."""

    # Translated where it is shown.
    name: str
    field: Callable[[str, list[SelectChoice]], Any]
    has_options: bool = False


def _any_of(label: str, choices: list[SelectChoice]) -> Any:
    return SelectMultipleField(
        label,
        choices=choices,
        validators=[Optional()],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )


def _one_of(label: str, choices: list[SelectChoice]) -> Any:
    return RadioField(label, choices=choices, validators=[Optional()], validate_choice=True)


def _own_words(label: str, _choices: list[SelectChoice]) -> Any:
    return text_field(label, Optional(), 500)


# By `Question.kind`, in the order in which the office sees them.
QUESTION_TYPES = {
    "text": QuestionType(gettext_noop("In their own words"), _own_words),
    "choice": QuestionType(gettext_noop("One of a list"), _one_of, has_options=True),
    "choices": QuestionType(gettext_noop("Any of a list"), _any_of, has_options=True),
    "consent": QuestionType(
        gettext_noop("A checkbox"), lambda label, _choices: BooleanField(label)
    ),
}


def field_for(question: Question, label: str, language: str) -> Any:
    """Return a question's form field, which is optional, in a language."""
    choices = [
        SelectChoice(str(number), localized(option, language))
        for number, option in enumerate(question.options)
    ]
    return QUESTION_TYPES[question.kind].field(label, choices)


def answer_in_words(field: Field) -> str:
    """Return a field's input as text, or ""."""
    if isinstance(field, BooleanField):
        return _("Yes") if field.data else ""
    if isinstance(field, RadioField | SelectMultipleField):
        chosen = field.data if isinstance(field.data, list) else [field.data]
        labels = {choice.value: str(choice.label) for choice in field.choices}
        return ", ".join(labels[each] for each in chosen if each in labels)
    return field.data or ""
