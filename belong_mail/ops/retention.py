"""Delete old deliveries and jobs.

The rules stand above the rooms, one of which (`contact`) still needs some deliveries.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, update
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import Limit, WorkerLimit
from belong_mail.core.retention import (
    ARGUMENTS_AGE,
    DELIVERY_AGE,
    SENT_PER_MINUTE_AGE,
    UNREADABLE_AGE,
    Rule,
    Which,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import Delivery, SentPerMinute
from belong_mail.delivery.work import RETENTION


def _old_arguments(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match ended deliveries that still have recipient and arguments."""
    return (
        Delivery.sealed_arguments.is_not(None),
        Delivery.created_at < at - ARGUMENTS_AGE,
        Delivery.finished_at < at - ARGUMENTS_AGE,
        Delivery.due_at.is_(None),
    )


def _done(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match ended single emails; an issue's deliveries are kept for its report.

    An undelivered message to the office is also kept, until someone has dealt with it.
    """
    is_owed = (Delivery.kind == contact.KIND) & exists().where(
        ContactMessage.id == Delivery.about_id
    )
    return (
        Delivery.newsletter_id.is_(None),
        Delivery.created_at < at - DELIVERY_AGE,
        Delivery.finished_at < at - DELIVERY_AGE,
        Delivery.due_at.is_(None),
        ~is_owed,
    )


# Rate limits that are no longer used up, and counts of past days.
_ALLOWANCES: tuple[tuple[Any, Which], ...] = (
    (Limit, lambda at: (Limit.used_until < at.timestamp(),)),
    (WorkerLimit, lambda at: (WorkerLimit.used_until < at.timestamp(),)),
    (SentPerMinute, older_than(SentPerMinute.minute, SENT_PER_MINUTE_AGE)),
)


def _purge_allowances(session: Session, at: datetime) -> int:
    """Delete all of them at once; they are small, so they do not count as rows."""
    for model, which in _ALLOWANCES:
        session.execute(delete(model).where(*which(at)))
    return 0


RETENTION["links"] = in_batches(
    update(Delivery).values(sealed_to=None, sealed_arguments=None), _old_arguments
)
RETENTION["deliveries"] = in_batches(delete(Delivery), _done)
RETENTION["unreadable requests"] = in_batches(
    delete(Job), lambda at: (Job.due_at < at - UNREADABLE_AGE, Job.failures > 0)
)
RETENTION["allowances"] = Rule(_purge_allowances, _ALLOWANCES)
