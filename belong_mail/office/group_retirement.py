"""Set or cancel the end of a group; `office.tasks` carries it out."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.groups.models import Group
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import InvalidState

# How long memberships are kept after leaders and the office were notified of the end.
NOTICE = timedelta(days=7)
IS_ENDING = or_(Group.ends_at.is_not(None), Group.retired_at.is_not(None))


def end_on(session: Session, group: Group, ends_at: datetime) -> None:
    """Set a group's end; from now on no one can join. Raises InvalidState.

    Issues scheduled for after the end become drafts again; earlier ones are sent.
    """
    _change(session, group, ~IS_ENDING, ends_at=ends_at)
    later = _scheduled(group).where(Newsletter.due_at >= ends_at)
    drafts = update(Newsletter).where(Newsletter.id.in_(later))
    session.execute(drafts.values(due_at=None))
    audit.record(session, audit.Kind.GROUP_END_SET, group=group)


def end_now(session: Session, group: Group) -> None:
    """End a group at once, as an operator may: nothing more is sent to it."""
    group.ends_at = now()
    release.retire(session, group)


def restore(session: Session, group: Group) -> None:
    """Cancel a group's end. Raises InvalidState if it has passed."""
    _change(session, group, Group.retired_at.is_(None), Group.ends_at > now(), ends_at=None)
    audit.record(session, audit.Kind.GROUP_RESTORED, group=group)


def restore_ended(session: Session, group: Group) -> None:
    """Cancel a group's end, even one that has passed, until its memberships are deleted.

    Raises InvalidState if it has no end, or is too late.
    """
    told_lately = or_(Group.announced_at.is_(None), Group.announced_at > now() - NOTICE)
    is_whole = or_(told_lately, Group.retired_at.is_(None))
    _change(session, group, IS_ENDING, is_whole, ends_at=None, retired_at=None)
    audit.record(session, audit.Kind.GROUP_RESTORED, group=group)


def count_scheduled(session: Session, group: Group) -> int:
    """Count a group's scheduled issues."""
    return len(session.scalars(_scheduled(group)).all())


def emptied_after(group: Group) -> datetime | None:
    """Return when a group's memberships will be deleted, or None if it has no end."""
    if group.ends_at is None:
        return None
    ended = min(group.ends_at, group.retired_at or group.ends_at)  # the web could move it on
    return max(ended, (group.announced_at or now()) + NOTICE)


def _scheduled(group: Group) -> Select[Any]:
    waiting = Newsletter.queued_at.is_(None), Newsletter.due_at.is_not(None)
    return select(Newsletter.id).where(Newsletter.group_id == group.id, *waiting)


def _change(session: Session, group: Group, *is_so: ColumnElement[bool], **values: object) -> None:
    """Change a group if these conditions hold. Raises InvalidState."""
    changed = update(Group).where(Group.id == group.id, *is_so).values(values)
    if session.scalar(changed.returning(Group.id)) is None:
        raise InvalidState
    session.refresh(group)
