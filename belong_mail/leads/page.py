"""Change a group's page, with one undo."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.groups.models import Group

# The columns of a group that its leaders may change.
PAGE = ("summary", "mission", "activities", "note", "resources", "welcome")


def page_of(group: Group) -> dict[str, Any]:
    return {name: getattr(group, name) for name in PAGE}


def change(session: Session, group: Group, page: Mapping[str, Any], detail: str = "") -> None:
    """Replace texts of a group's page, by column; `undo` restores the previous ones."""
    if all(getattr(group, name) == value for name, value in page.items()):
        return
    group.before = page_of(group)
    for name, value in page.items():
        setattr(group, name, value)
    audit.record(session, audit.Kind.PAGE_CHANGED, group=group, detail=detail)
    session.flush()


def undo(session: Session, group: Group) -> None:
    """Swap the current and previous texts, so a second call redoes the change."""
    if isinstance(group.before, dict):  # an intruder in the web may have written anything
        change(session, group, {name: group.before.get(name) for name in PAGE}, "undo")
