"""Finding groups, and the office's verbs: add, retire, seed."""

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.groups.models import Group, Question
from belong_mail.groups.seeds import ESTABLISHED, QUESTIONS, UPCOMING

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class SlugRefused(Exception):
    """The slug is taken, or is not lower-case letters, digits and single hyphens."""


def find(session: Session, slug: str) -> Group | None:
    """Find a group that is shown to people: one that is not retired."""
    if not SLUG.fullmatch(slug):
        return None
    return session.scalar(select(Group).where(Group.slug == slug, Group.retired_at.is_(None)))


def numbered(session: Session, number: int) -> Group | None:
    """Find a group that is shown to people by the number that stands on paper."""
    return session.scalar(select(Group).where(Group.id == number, Group.retired_at.is_(None)))


def shown(session: Session) -> list[Group]:
    """List the groups that are not retired, in the directory's order."""
    found = select(Group).where(Group.retired_at.is_(None)).order_by(Group.position)
    return list(session.scalars(found))


def add(session: Session, slug: str, name: str, summary: str, *, is_upcoming: bool) -> Group:
    """Add a group at the end of the directory, or raise SlugRefused."""
    if not SLUG.fullmatch(slug) or session.scalar(select(Group).where(Group.slug == slug)):
        raise SlugRefused(slug)
    last = session.scalar(select(func.max(Group.position))) or 0
    group = Group(
        slug=slug,
        name=name,
        summary={"en": summary},
        position=last + 1,
        established_at=None if is_upcoming else now(),
    )
    session.add(group)
    return group


class HasStarted(Exception):
    """The group is no upcoming one: it has started already, or is retired."""


def launch(group: Group) -> None:
    """Let an upcoming group start: people can join from now on; or raise HasStarted."""
    if group.established_at is not None or group.retired_at is not None:
        raise HasStarted
    group.established_at = now()


def retire(session: Session, group: Group) -> None:
    """Take a group out of the directory; nobody can join it any more."""
    group.retired_at = now()
    session.flush()


def seed(session: Session) -> None:
    """Write the district's groups into a database that has none."""
    if session.scalar(select(func.count(Group.id))):
        return
    rows: list[tuple[Any, ...]] = [(*each, now()) for each in ESTABLISHED]
    rows += [(*each, {}, None) for each in UPCOMING]
    for place, (slug, name, summary, note, at) in enumerate(rows, 1):
        group = Group(
            slug=slug, name=name, summary=summary, note=note, position=place, established_at=at
        )
        for position, (kind, label, options) in enumerate(QUESTIONS.get(slug, ()), 1):
            group.questions.append(
                Question(position=position, kind=kind, label=label, options=options)
            )
        session.add(group)
