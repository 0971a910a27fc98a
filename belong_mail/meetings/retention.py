"""Delete old meetings and reminders."""

from sqlalchemy import delete, exists

from belong_mail.core.db import days_ago, is_older
from belong_mail.core.retention import MEETING_AGE, REMINDER_AGE, in_batches
from belong_mail.delivery.work import RETENTION
from belong_mail.meetings.models import Meeting, MeetingChange, Reminder

_GONE = days_ago(MEETING_AGE)
_IS_MOVED = exists().where(MeetingChange.meeting_id == Meeting.id, MeetingChange.held_on >= _GONE)
_IS_PAST = ((Meeting.repeats == "once") & (Meeting.starts_on < _GONE)) | (Meeting.until < _GONE)
# Meetings that ended or were canceled so long ago that calendars need no update.
RETENTION["meetings"] = in_batches(
    delete(Meeting), (_IS_PAST & ~_IS_MOVED) | is_older(Meeting.cancelled_at, MEETING_AGE)
)
RETENTION["reminders"] = in_batches(delete(Reminder), Reminder.held_on < days_ago(REMINDER_AGE))
