"""Change a group's page, with one undo."""

from dataclasses import asdict, dataclass
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
    return GroupPage(
        summary=dict(group.summary),
        mission=dict(group.mission),
        activities=dict(group.activities),
        note=dict(group.note),
        resources=list(group.resources),
        welcome=dict(group.welcome),
    )


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
    group.summary, group.note = page.summary, page.note
    group.mission, group.activities = page.mission, page.activities
    group.resources, group.welcome = page.resources, page.welcome
