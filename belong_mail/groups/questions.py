"""The questions of a group's sign-up form, and what none may ask."""

import re

from belong_mail.core.i18n import TextIn, sensitive_words
from belong_mail.groups.models import Group, Question
from belong_mail.groups.presenters import localized
from belong_mail.mail.message.plain_words import plain

# Questions of one group: nobody should have to fill in a form for long.
MAX_QUESTIONS = 8


def asked(group: Group) -> list[Question]:
    """List what a group's form asks.

    Leaves out a question about identity, health, pronouns, religion, race or orientation, which an
    intruder in the web could write down.
    """
    return [each for each in group.questions if not any(map(asks_sensitive, words_of(each)))]


def question_view(question: Question, language: str) -> tuple[Question, str, list[TextIn]]:
    """Return a question with its words, and those of its answers, in a language."""
    options = [localized(each, language) for each in question.options]
    return question, localized(question.label, language), options


def words_of(question: Question) -> list[str]:
    """List a question's words in all languages, and those of its answers."""
    return [words for each in (question.label, *question.options) for words in each.values()]


def _pattern(word: str) -> str:
    """Return a pattern of a word, with a star at its end for all that begin so."""
    ending = r"\w*" if word.endswith("*") else ""
    return re.escape(plain(word.removesuffix("*"))) + ending


SENSITIVE_WORDS = re.compile(
    r"\b(?:"
    + "|".join(_pattern(word) for words in sensitive_words("questions") for word in words)
    + r")\b"
)


def asks_sensitive(text: str) -> bool:
    """Tell whether words ask identity, diagnosis, pronouns, religion, race or orientation."""
    return SENSITIVE_WORDS.search(" ".join(plain(text).split())) is not None
