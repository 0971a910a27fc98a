"""Change a group's page, with one undo."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.i18n import LocalizedText
from belong_mail.groups.models import Group


@dataclass(frozen=True, slots=True)
class GroupPage:
    """What leads may change of a group."""

    summary: LocalizedText
    mission: LocalizedText
    # A list, one line each.
    activities: LocalizedText
    note: LocalizedText
    # [{"title": LocalizedText, "url": …}]
    resources: list[dict[str, Any]]
    welcome: LocalizedText


def page_of(group: Group) -> GroupPage:
    return GroupPage(**{each.name: getattr(group, each.name) for each in fields(GroupPage)})


def change(session: Session, group: Group, page: GroupPage) -> None:
    """Put other words on a group's page; the ones before can be brought back."""
    group.before = asdict(page_of(group))
    _put(group, page)
    audit.record(session, audit.Kind.PAGE_CHANGED, group=group)
    session.flush()


def undo(session: Session, group: Group) -> None:
    """Bring back what the last change replaced; a second time brings the change back."""
    if group.before is not None:
        current = asdict(page_of(group))
        # What an older version kept says nothing about texts that it did not have.
        page = GroupPage(**(current | group.before))
        group.before = current
        _put(group, page)
        audit.record(session, audit.Kind.PAGE_CHANGED, group=group, detail="undo")
        session.flush()


def _put(group: Group, page: GroupPage) -> None:
    for each in fields(page):
        setattr(group, each.name, getattr(page, each.name))
