"""The office's actions on groups: add, describe, mark, order, launch, and add questions."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from belong_mail.accounts import people
from belong_mail.accounts import service as accounts
from belong_mail.accounts.service import NotFound
from belong_mail.core import audit
from belong_mail.core.db import required
from belong_mail.core.i18n import LocalizedText
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups import service as groups
from belong_mail.groups.header_words import is_discreet
from belong_mail.groups.models import Group, Question
from belong_mail.leads import page as group_page
from belong_mail.meetings import service as meetings
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import InvalidState

# Days of meetings read in all, which covers a year.
MOST_MEETINGS = 2000


class NameTaken(Exception):
    """Another group has this name, or has or had the slug made from it."""


# The columns of a group that the office may change; a group's leaders may change two of them.
LEADERS_TEXTS = ("summary", "mission")
DESCRIBED = (
    *LEADERS_TEXTS, "name", "audience", "identifying_words", "is_discreet",
    "allows_personal_addresses",
)  # fmt: skip


def glance(session: Session, zone: ZoneInfo, at: datetime) -> list[dict[str, Any]]:
    """List the groups that have not ended, in the directory's order.

    Each has its team, also people who are only invited, and the dates of its last newsletter and
    next meeting.
    """
    sent = select(Newsletter.group_id, func.max(Newsletter.queued_at)).group_by(Newsletter.group_id)
    newest = session.execute(sent.where(Newsletter.queued_at.is_not(None)))
    sent_on = {group_id: moment.astimezone(zone).date() for group_id, moment in newest if moment}
    meets_on: dict[int, date] = {}
    for each in meetings.upcoming(session, zone, at, MOST_MEETINGS):
        if not each.is_cancelled:
            meets_on.setdefault(each.meeting.group_id, each.held_on)
    return [
        {
            "group": group,
            "team": team,
            "sent_on": sent_on.get(group.id),
            "meets_on": meets_on.get(group.id),
        }
        for group, team in people.list_teams(session).items()
    ]


def last_issue(session: Session, group: Group) -> Newsletter | None:
    """Return a group's newest sent newsletter, without its text."""
    found = select(Newsletter).where(
        Newsletter.group_id == group.id, Newsletter.queued_at.is_not(None)
    )
    newest = found.order_by(Newsletter.queued_at.desc()).limit(1)
    issue: Newsletter | None = session.scalar(newest.options(defer(Newsletter.text)))
    return issue


def described(group: Group) -> dict[str, Any]:
    stored = {name: getattr(group, name) for name in DESCRIBED}
    return {**stored, "is_discreet": is_discreet(group)}


def add(session: Session, said: Mapping[str, Any]) -> Group:
    """Add an upcoming group, by columns, at the end of the directory. Raises NameTaken."""
    name = said["name"]
    if not groups.is_name_free(session, name):
        raise NameTaken
    try:
        group = groups.add(session, groups.slug_for(name), name, "", is_upcoming=True)
    except groups.InvalidSlug as error:
        raise NameTaken from error
    return _put(session, group, said)


def _put(session: Session, group: Group, said: Mapping[str, Any]) -> Group:
    for name, value in said.items():
        setattr(group, name, value)
    session.flush()
    return group


def describe(session: Session, group: Group, said: Mapping[str, Any]) -> Group:
    """Change a group's description, also its name. Raises NameTaken.

    The slug stays, as posters and links have it. Leaders can undo changes to their page.
    """
    if not groups.is_name_free(session, said["name"], group):
        raise NameTaken
    for kind in _changes(group, said):
        audit.record(session, kind, group=group)
    texts = {name: said[name] for name in LEADERS_TEXTS}
    if any(getattr(group, name) != text for name, text in texts.items()):
        group_page.change(session, group, texts)
    return _put(session, group, said)


def _changes(group: Group, said: Mapping[str, Any]) -> list[audit.Kind]:
    """List the audit entries for a change, the most important first."""
    before, kinds = described(group), []
    if before["name"] != said["name"]:
        kinds.append(audit.Kind.GROUP_RENAMED)
    if bool(group.is_discreet) != said["is_discreet"]:
        kinds.append(audit.Kind.GROUP_MARKED if said["is_discreet"] else audit.Kind.GROUP_UNMARKED)
    if before["allows_personal_addresses"] != (is_allowed := said["allows_personal_addresses"]):
        kinds.append(audit.Kind.PERSONAL_ALLOWED if is_allowed else audit.Kind.PERSONAL_ENDED)
    if not kinds and before != said:
        kinds.append(audit.Kind.GROUP_CHANGED)
    return kinds


def missing(session: Session, group: Group) -> list[str]:
    """List what a group needs before it may be launched, in English."""
    needed = {
        gettext_noop("a leader who has accepted"): accounts.leads_of(session, group),
        gettext_noop("a line that says what it’s for"): group.summary,
    }
    return [words for words, found in needed.items() if not found]


def launch(session: Session, group: Group) -> None:
    """Launch an upcoming group. Raises AlreadyLaunched, or InvalidState if something is missing."""
    if missing(session, group):
        raise InvalidState
    groups.launch(group)


def add_question(
    session: Session, group: Group, kind: str, label: LocalizedText, options: list[LocalizedText]
) -> Question:
    """Append a question to a group's sign-up form."""
    last = max((each.position for each in group.questions), default=0)
    question = Question(position=last + 1, kind=kind, label=label, options=options)
    group.questions.append(question)
    session.flush()
    audit.record(session, audit.Kind.QUESTION_ADDED, group=group, detail=str(question.id))
    return question


def remove_question(session: Session, group: Group, question_id: int) -> None:
    """Remove a question of a group. Raises NotFound."""
    found = (each for each in group.questions if each.id == question_id)
    question = required(next(found, None), NotFound)
    audit.record(session, audit.Kind.QUESTION_REMOVED, group=group, detail=str(question_id))
    session.delete(question)
