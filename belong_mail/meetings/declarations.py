"""What the worker must know of meetings."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import Session

from belong_mail.core.retention import BATCH_ROWS, REMINDER_AGE, in_batches
from belong_mail.delivery.room import Room
from belong_mail.meetings import service
from belong_mail.meetings.models import Reminder


def _purge_meetings(session: Session, at: datetime) -> int:
    gone = service.expired(session, at)[:BATCH_ROWS]
    for meeting in gone:
        session.delete(meeting)
    session.flush()
    return len(gone)


def _past_reminders(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Reminder.held_on < (at - REMINDER_AGE).date(),)


MEETINGS = Room(
    retention={
        "meetings": _purge_meetings,
        "reminders": in_batches(delete(Reminder), _past_reminders),
    }
)
