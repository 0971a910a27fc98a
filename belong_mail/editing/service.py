"""Changing a group's words, with one step back."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from belong_mail.groups.models import Group, Words


@dataclass(frozen=True, slots=True)
class Page:
    """What leads may change of a group."""

    summary: Words
    note: Words
    resources: list[dict[str, Any]]
    """[{"title": Words, "url": …}]"""
    welcome: Words


def page_of(group: Group) -> Page:
    return Page(
        summary=dict(group.summary),
        note=dict(group.note),
        resources=list(group.resources),
        welcome=dict(group.welcome),
    )


def change(session: Session, group: Group, page: Page) -> None:
    """Put other words on a group's page; the ones before can be brought back."""
    group.before = asdict(page_of(group))
    _put(group, page)
    session.flush()


def undo(session: Session, group: Group) -> None:
    """Bring back what the last change replaced; a second time brings the change back."""
    if group.before is not None:
        page = Page(**group.before)
        group.before = asdict(page_of(group))
        _put(group, page)
        session.flush()


def _put(group: Group, page: Page) -> None:
    group.summary, group.note = page.summary, page.note
    group.resources, group.welcome = page.resources, page.welcome
