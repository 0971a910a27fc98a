"""Delete old meetings and reminders."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists

from belong_mail.core.retention import MEETING_AGE, REMINDER_AGE, in_batches
from belong_mail.delivery.work import RETENTION
from belong_mail.meetings.models import Meeting, MeetingChange, Reminder


def _past_meetings(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match meetings that ended or were canceled so long ago that calendars need no update."""
    gone = (at - MEETING_AGE).date()
    is_moved = exists().where(MeetingChange.meeting_id == Meeting.id, MeetingChange.held_on >= gone)
    is_past = (
        ((Meeting.repeats == "once") & (Meeting.starts_on < gone)) | (Meeting.until < gone)
    ) & ~is_moved
    return (is_past | (Meeting.cancelled_at < at - MEETING_AGE),)


def _past_reminders(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Reminder.held_on < (at - REMINDER_AGE).date(),)


RETENTION["meetings"] = in_batches(delete(Meeting), _past_meetings)
RETENTION["reminders"] = in_batches(delete(Reminder), _past_reminders)
