"""What a newsletter may start from: the group's template, or its next meetings."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import audit
from belong_mail.core.i18n import NAMES, LocalizedText, catalog
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.newsletters import archive
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter

# Meetings that are put into an issue.
MEETINGS = 4
# It names no group: it is a subject.
MEETINGS_SUBJECT = gettext_noop("Our next meetings")


def template_of(session: Session, group: Group) -> Newsletter | None:
    """Find a group's template; of two that were saved at once the later one counts."""
    found = select(Newsletter).where(Newsletter.group_id == group.id, Newsletter.is_template)
    return session.scalar(found.order_by(Newsletter.id.desc()).limit(1))


def save_as_template(session: Session, issue: Newsletter) -> Newsletter:
    """Keep a copy of a draft as its group's template, in place of the one before."""
    found = select(Newsletter).where(Newsletter.group_id == issue.group_id, Newsletter.is_template)
    for before in session.scalars(found).all():
        session.delete(before)
    template = archive.duplicate(session, issue, is_template=True)
    audit.record(session, audit.Kind.TEMPLATE_SAVED, group=issue.group)
    session.flush()
    return template


def start(session: Session, group: Group, kind: str, zone: ZoneInfo, at: datetime) -> Newsletter:
    """Begin a draft from the group's `template`, from its next `meetings`, or without a word."""
    template = template_of(session, group) if kind == "template" else None
    if template is not None:
        return archive.duplicate(session, template)
    issue = newsletters.start_draft(session, group)
    found = next_meetings(session, group, zone, at) if kind == "meetings" else {}
    if found:
        subject = {code: catalog(code).gettext(MEETINGS_SUBJECT) for code in NAMES}
        newsletters.update_draft(issue, subject=subject, text=found)
    return issue


def next_meetings(session: Session, group: Group, zone: ZoneInfo, at: datetime) -> LocalizedText:
    """Write a group's next meetings in words, in each language; nothing for none."""
    found = meetings.next_held(session, zone, at, MEETINGS, group)
    return {code: formatting.meeting_markdown(found, code) for code in NAMES if found}
