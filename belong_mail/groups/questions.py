"""The questions of a group's sign-up form: their types, and what none may ask."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wtforms import BooleanField, Field, RadioField, SelectMultipleField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from belong_mail.core.i18n import TextIn, sensitive_words
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group, Question
from belong_mail.groups.presenters import localized
from belong_mail.mail.message.plain_words import plain
from belong_mail.web.forms import plain_text, strip
from belong_mail.web.language import gettext as _
from belong_mail.web.language import lazy_gettext as _l

# Questions of one group: no one should have to fill in a long form.
MAX_QUESTIONS = 8


def asked(group: Group) -> list[Question]:
    """List the questions of a group's form.

    Leaves out any about identity, health, pronouns, religion, race or orientation, which an
    intruder in the web could add.
    """
    return [each for each in group.questions if not any(map(asks_sensitive, words_of(each)))]


def question_view(question: Question, language: str) -> tuple[Question, str, list[TextIn]]:
    """Return a question, with its words and its answers', in a language."""
    options = [localized(each, language) for each in question.options]
    return question, localized(question.label, language), options


def words_of(question: Question) -> list[str]:
    """List a question's words and its answers', in all languages."""
    return [words for each in (question.label, *question.options) for words in each.values()]


def _pattern(word: str) -> str:
    """Return a pattern for a word; a star at its end matches all that begin with it."""
    ending = r"\w*" if word.endswith("*") else ""
    return re.escape(plain(word.removesuffix("*"))) + ending


SENSITIVE_WORDS = re.compile(
    r"\b(?:"
    + "|".join(_pattern(word) for words in sensitive_words("questions") for word in words)
    + r")\b"
)


def asks_sensitive(text: str) -> bool:
    """Return whether words ask for identity, diagnosis, pronouns, religion, race or orientation."""
    return SENSITIVE_WORDS.search(" ".join(plain(text).split())) is not None


@dataclass(frozen=True)
class QuestionType:
    """A type of question: its name for the office, whether it has options, and its form field."""

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
    long = Length(max=500, message=_l("Use at most 500 characters."))
    return TextAreaField(label, filters=[strip], validators=[Optional(), long, plain_text])


def _agreement(label: str, _choices: list[SelectChoice]) -> Any:
    return BooleanField(label)


# By `Question.kind`, in the order of the office's list.
QUESTION_TYPES = {
    "text": QuestionType(gettext_noop("An answer in their own words"), _own_words),
    "choice": QuestionType(gettext_noop("One of a list"), _one_of, has_options=True),
    "choices": QuestionType(gettext_noop("Any of a list"), _any_of, has_options=True),
    "consent": QuestionType(gettext_noop("Checkbox (agree or not)"), _agreement),
}


def field_for(question: Question, label: str, language: str) -> Any:
    """Return the form field of a question, which need not be answered, in a language."""
    choices = [
        SelectChoice(str(number), localized(option, language))
        for number, option in enumerate(question.options)
    ]
    return QUESTION_TYPES[question.kind].field(label, choices)


def answer_in_words(field: Field) -> str:
    """Return an answer in words; empty for none."""
    if isinstance(field, BooleanField):
        return _("Yes") if field.data else ""
    if isinstance(field, RadioField | SelectMultipleField):
        chosen = field.data if isinstance(field.data, list) else [field.data]
        labels = {choice.value: str(choice.label) for choice in field.choices}
        return ", ".join(labels[each] for each in chosen if each in labels)
    return field.data or ""
