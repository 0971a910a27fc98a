"""Asking for the reminders that are due: once for each day of a meeting."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Reminder
from belong_mail.meetings.recurrence import Occurrence
from belong_mail.outbox import service as outbox
from belong_mail.subscriptions.models import Subscription
from belong_mail.upserts import inserting

KIND = "meeting-reminder"
HOUR = time(9)
"""Local; from then on members are reminded of the next day's meetings."""


def queue_due(session: Session, zone: ZoneInfo, at: datetime) -> None:
    """Post the reminders of tomorrow's meetings, and of today's that were missed."""
    local = at.astimezone(zone)
    last = local.date() + timedelta(days=local.time() >= HOUR)
    for occurrence in meetings.between(session, zone, local.date(), last):
        if not occurrence.is_cancelled and occurrence.starts > at:
            _remind(session, occurrence, at)


def _remind(session: Session, occurrence: Occurrence, at: datetime) -> None:
    """Post to the members who asked for it, unless another worker has or did."""
    noted = (
        inserting(session.get_bind().dialect.name)(Reminder)
        .values(meeting_id=occurrence.meeting.id, held_on=occurrence.held_on)
        .on_conflict_do_nothing()
        .returning(Reminder.id)
    )
    reminder_id = session.scalar(noted)
    if reminder_id is None:
        return
    members = select(Subscription.id).where(
        Subscription.group_id == occurrence.meeting.group_id,
        Subscription.is_active,
        Subscription.is_reminded,
        Subscription.reads_at(at),
    )
    for subscription_id in session.scalars(members):
        outbox.post(session, KIND, subscription_id=subscription_id, about_id=reminder_id)
