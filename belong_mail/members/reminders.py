"""Remind members the day before a meeting."""

from datetime import datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.db import dialect_insert, now
from belong_mail.delivery import outbox
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import Work, each_minute, writes
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Meeting, Reminder
from belong_mail.meetings.recurrence import Occurrence
from belong_mail.members import emails as members_emails
from belong_mail.members.models import Subscription

REMINDER = "meeting-reminder"
# The local time from which reminders of the next day's meetings are sent.
HOUR = time(9)


@each_minute("Nobody is reminded", select(Meeting.id).exists())
def queue_due(work: Work) -> None:
    """Queue reminders of tomorrow's meetings, and of today's that were missed."""
    session, zone, at = work.session, work.settings.timezone, work.at
    local = at.astimezone(zone)
    last = local.date() + timedelta(days=local.time() >= HOUR)
    for occurrence in meetings.held_between(session, zone, local.date(), last):
        if not occurrence.is_cancelled and occurrence.starts > at:
            _remind(session, occurrence, at)


def _remind(session: Session, occurrence: Occurrence, at: datetime) -> None:
    """Queue a meeting's reminders, unless another worker has done so or is doing so."""
    noted = (
        dialect_insert(session.get_bind().dialect.name)(Reminder)
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
        outbox.post(session, REMINDER, subscription_id=subscription_id, about_id=reminder_id)


@writes(REMINDER)
def reminder_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Remind a member, unless they left, paused or turned reminders off."""
    member = members_emails.require_member(session, delivery)
    noted = session.get(Reminder, delivery.about_id)
    if noted is None or not member.is_reminded or member.pause is not None:
        raise SkipDelivery(State.WITHDRAWN)
    meeting = session.get_one(Meeting, noted.meeting_id)
    if meeting.group_id != member.group_id:
        raise SkipDelivery(State.WITHDRAWN)
    days = recurrence.occurrences(meeting, mailer.settings.timezone, noted.held_on, noted.held_on)
    held = [each for each in days if not each.is_cancelled]
    if not held:
        raise SkipDelivery(State.WITHDRAWN)
    if held[0].starts < now():
        raise SkipDelivery(State.EXPIRED)
    return Email(
        to=members_emails.recipient_address(session, mailer, member),
        language=member.language,
        context={
            "group": member.group,
            "meeting": formatting.meeting_view(held[0], member.language, is_member=True),
            "leave_url": members_emails.leave_link(mailer, member, delivery),
        },
    )
