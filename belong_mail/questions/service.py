"""Proposing, removing, approving: a question is asked when the office has said yes."""

from typing import Any

from sqlalchemy import func, null, select
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.groups.models import Group, Question, Words

MOST = 8
"""Questions of one group: who joins should not have to fill in a form for long."""
KINDS = ("text", "choice", "choices", "consent")


class TooMany(Exception):
    """The group has as many questions as a form can bear."""


class NoSuchQuestion(Exception):
    """There is no such question, or not in this group."""


def propose(
    session: Session, group: Group, kind: str, label: Words, options: list[Words]
) -> Question:
    """Write a question down for the office; nobody is asked yet. Raises TooMany."""
    own = select(func.count(Question.id), func.max(Question.position))
    number, last = session.execute(own.where(Question.group_id == group.id)).one()
    if number >= MOST:
        raise TooMany
    values: dict[str, Any] = {"position": (last or 0) + 1, "approved_at": null()}
    question = Question(group_id=group.id, kind=kind, label=label, options=options, **values)
    session.add(question)
    session.flush()
    return question


def remove(session: Session, group: Group, question_id: int) -> None:
    """Take a question from its group's form, or raise NoSuchQuestion."""
    question = find(session, question_id)
    if question.group_id != group.id:
        raise NoSuchQuestion
    session.delete(question)


def find(session: Session, question_id: int) -> Question:
    """Find a question, or raise NoSuchQuestion."""
    question = session.get(Question, question_id)
    if question is None:
        raise NoSuchQuestion
    return question


def approve(question: Question) -> None:
    """Say the office's yes: from now on people are asked."""
    question.approved_at = question.approved_at or now()


def everything(session: Session) -> list[tuple[Group, Question]]:
    """List the questions of all groups that are not retired: those that wait first."""
    found = select(Group, Question).join(Question, Question.group_id == Group.id)
    found = found.where(Group.retired_at.is_(None))
    order = (Question.approved_at.is_not(None), Group.position, Question.position)
    return [(group, question) for group, question in session.execute(found.order_by(*order))]
