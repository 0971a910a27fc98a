"""Delete old meetings and reminders."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from belong_mail.core.retention import BATCH_ROWS, REMINDER_AGE, Rule, in_batches
from belong_mail.delivery.work import RETENTION
from belong_mail.meetings import service
from belong_mail.meetings.models import Meeting, Reminder


def _purge_meetings(session: Session, at: datetime) -> int:
    over = select(Meeting).where(*service.expired(at)).limit(BATCH_ROWS)
    gone = list(session.scalars(over))
    for meeting in gone:
        session.delete(meeting)
    session.flush()
    return len(gone)


def _past_reminders(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Reminder.held_on < (at - REMINDER_AGE).date(),)


RETENTION["meetings"] = Rule(_purge_meetings, ((Meeting, service.expired),))
RETENTION["reminders"] = in_batches(delete(Reminder), _past_reminders)
