"""Change a group's page, with one undo, and preview its welcome email."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.i18n import LocalizedText
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import localized
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings


@dataclass(frozen=True, slots=True)
class GroupPage:
    """The columns of a group that its leaders may change."""

    summary: LocalizedText
    mission: LocalizedText
    # Lines of a list.
    activities: LocalizedText
    note: LocalizedText
    # [{"title": LocalizedText, "url": …}]
    resources: list[dict[str, Any]]
    welcome: LocalizedText


def page_of(group: Group) -> GroupPage:
    return GroupPage(**{each.name: getattr(group, each.name) for each in fields(GroupPage)})


def change(session: Session, group: Group, page: GroupPage, detail: str = "") -> None:
    """Replace the texts of a group's page; `undo` restores the previous ones."""
    group.before = asdict(page_of(group))
    for each in fields(page):
        setattr(group, each.name, getattr(page, each.name))
    audit.record(session, audit.Kind.PAGE_CHANGED, group=group, detail=detail)
    session.flush()


def undo(session: Session, group: Group) -> None:
    """Swap the current and previous texts, so a second call redoes the change."""
    if isinstance(group.before, dict):  # an intruder in the web may have written anything
        texts: dict[str, Any] = {
            each.name: group.before.get(each.name) for each in fields(GroupPage)
        }
        change(session, group, GroupPage(**texts), "undo")


def welcome_sample(
    session: Session,
    group: Group,
    words: LocalizedText,
    language: str,
    at: datetime,
    zone: ZoneInfo,
) -> dict[str, Any]:
    """Return the arguments of a sample welcome email, without a first name."""
    coming = meetings.next_held(session, zone, at, meetings.NEXT, group)
    return {
        "group": group,
        "first_name": "",
        "words": localized(words, language),
        "meetings": [formatting.meeting_view(each, language, is_member=True) for each in coming],
    }
