"""Questions of a sign-up form: propose, approve, and refuse what no form may ask."""

import re
import unicodedata
from typing import Any

from sqlalchemy import func, null, select
from sqlalchemy.orm import Session

from belong_mail.accounts.service import NotFound
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import LocalizedText, TextIn, sensitive_words
from belong_mail.core.jobs import seal_job
from belong_mail.core.rate_limits import HOUR, QUESTION_WAITS_RATE
from belong_mail.delivery import outbox
from belong_mail.groups.models import Group, Question
from belong_mail.groups.presenters import localized

# Questions of one group: who joins should not have to fill in a form for long.
MAX_QUESTIONS = 8
# The email that tells the office, and the job that carries its yes.
WAITS, APPROVE = "question-waits", "approve-question"


class TooManyQuestions(Exception):
    """The group has as many questions as a form can bear."""


def propose_question(
    session: Session, group: Group, kind: str, label: LocalizedText, options: list[LocalizedText]
) -> Question:
    """Write a question down for the office; nobody is asked yet. Raises TooManyQuestions."""
    own = select(func.count(Question.id), func.max(Question.position))
    number, last = session.execute(own.where(Question.group_id == group.id)).one()
    if number >= MAX_QUESTIONS:
        raise TooManyQuestions
    values: dict[str, Any] = {
        "position": (last or 0) + 1,
        "approved_at": null(),
        "proposed_at": now(),
    }
    question = Question(group_id=group.id, kind=kind, label=label, options=options, **values)
    session.add(question)
    session.flush()
    record(session, audit.Kind.QUESTION_PROPOSED, question)
    return question


def remove_question(session: Session, group: Group, question_id: int) -> None:
    """Take a question from its group's form, or raise NotFound."""
    question = find_question(session, question_id)
    if question.group_id != group.id:
        raise NotFound
    record(session, audit.Kind.QUESTION_REMOVED, question)
    session.delete(question)


def find_question(session: Session, question_id: int) -> Question:
    """Find a question, or raise NotFound."""
    return required(session.get(Question, question_id), NotFound)


def approve_question(question: Question) -> None:
    """Say the office's yes: from now on people are asked."""
    question.approved_at = question.approved_at or now()


def tell_office(session: Session, question: Question, sealed_to: bytes) -> None:
    """Email the office that a question waits; what was asked for within the hour says it of all."""
    due_at = rate_limits.try_use(session, WAITS.encode(), QUESTION_WAITS_RATE, now(), HOUR)
    if due_at is not None:
        outbox.post(session, WAITS, sealed_to=sealed_to, about_id=question.id, due_at=due_at)


def ask_to_approve(session: Session, sealer: Sealer, question_id: int) -> None:
    """Hand the office's yes to the worker, who alone may write it down. Raises NotFound."""
    question = find_question(session, question_id)
    record(session, audit.Kind.QUESTION_APPROVED, question)
    wanted = {"question": question.id, "words": words_of(question)}
    seal_job(session, sealer, APPROVE, wanted)


def refuse_question(session: Session, question_id: int) -> None:
    """Say the office's no: the question is gone. Raises NotFound."""
    question = find_question(session, question_id)
    record(session, audit.Kind.QUESTION_REFUSED, question)
    session.delete(question)


def record(session: Session, kind: audit.Kind, question: Question) -> None:
    """Write down what was done to a question, by its number."""
    group = session.get_one(Group, question.group_id)
    audit.record(session, kind, group=group, detail=str(question.id))


def question_view(question: Question, language: str) -> tuple[Question, str, list[TextIn]]:
    """Return a question with its words, and those of its answers, in a language."""
    options = [localized(each, language) for each in question.options]
    return question, localized(question.label, language), options


def words_of(question: Question) -> list[str]:
    """List a question's words in all languages, and those of its answers."""
    return [words for each in (question.label, *question.options) for words in each.values()]


def waiting_questions(session: Session) -> list[tuple[Group, Question]]:
    """List the questions that wait for the office, of groups that are not retired."""
    return [each for each in all_questions(session) if each[1].approved_at is None]


def all_questions(session: Session) -> list[tuple[Group, Question]]:
    """List the questions of all groups that are not retired: those that wait first."""
    found = select(Group, Question).join(Question, Question.group_id == Group.id)
    found = found.where(Group.retired_at.is_(None))
    order = (Question.approved_at.is_not(None), Group.position, Question.position)
    return [(group, question) for group, question in session.execute(found.order_by(*order))]


def _plain(text: str) -> str:
    """Return a text without accents and hidden characters, in small letters."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in spread if unicodedata.category(c) not in {"Mn", "Cf"})
    return " ".join(plain.split())


def _pattern(word: str) -> str:
    """Return a pattern of a word, with a star at its end for all that begin so."""
    ending = r"\w*" if word.endswith("*") else ""
    return re.escape(_plain(word.removesuffix("*"))) + ending


SENSITIVE_WORDS = re.compile(
    r"\b(?:"
    # English
    r"identit\w*|identif\w*|diagnos\w*|disabilit\w*|disabled|disorders?|autis\w*|adhd|hiv"
    r"|illness\w*|diseases?|medical\w*|mental health|pregnan\w*|pronouns?|gender\w*|sex|sexual\w*"
    r"|transgender\w*|nonbinary|non-binary|orientations?|gay|lesbians?|bisexual\w*|queer"
    r"|religi\w*|faiths?|church\w*|mosques?|synagogues?|worship\w*|beliefs?|pray\w*"
    r"|races?|racial\w*|ethnic\w*|skin colou?r|nationalit\w*|immigra\w*|citizenship|ancest\w*"
    # Spanish, without accents
    r"|identidad\w*|discapaci\w*|trastornos?|enferm\w*|medic[oa]s?|salud mental|embaraz\w*"
    r"|pronombres?|generos?|sexo|transgener\w*|no binari[oa]s?|orientacion\w*"
    r"|lesbianas?|fe|iglesias?|mezquitas?|sinagogas?|creencias?|rezar|rezas?"
    r"|razas?|etni[ac]\w*|color de piel|nacionalidad\w*|inmigra\w*|ciudadanias?|ascendencias?"
    + "".join(f"|{_pattern(word)}" for words in sensitive_words("questions") for word in words)
    + r")\b"
)


def asks_sensitive(text: str) -> bool:
    """Tell whether words ask identity, diagnosis, pronouns, religion, race or orientation."""
    return SENSITIVE_WORDS.search(_plain(text)) is not None
