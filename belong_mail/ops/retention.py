"""Delete old deliveries and jobs.

The rules stand above the rooms, one of which (`contact`) still needs some deliveries.
"""

from sqlalchemy import delete, exists, or_, update
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage
from belong_mail.core.db import CLOCKS_DIFFER, NOW, ago, ahead
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import Limit, WorkerLimit
from belong_mail.core.retention import (
    ARGUMENTS_AGE,
    DELIVERY_AGE,
    NO_AGE,
    SENT_PER_MINUTE_AGE,
    UNREADABLE_AGE,
    in_batches,
)
from belong_mail.delivery.models import Delivery, SentPerMinute
from belong_mail.delivery.work import RETENTION
from belong_mail.ops.outbox import LONGEST_ALLOWANCE

# Rate limits that are no longer used up, and counts of past days.
_ALLOWANCES = (
    (Limit, ~Limit.used_until.between(ahead(NO_AGE), ahead(LONGEST_ALLOWANCE))),
    (WorkerLimit, WorkerLimit.used_until < ahead(NO_AGE)),
    (SentPerMinute, SentPerMinute.minute < ago(SENT_PER_MINUTE_AGE)),
)


def _purge_allowances(session: Session) -> int:
    """Delete the rows of `_ALLOWANCES` at once: they are small, so they do not count."""
    for model, is_over in _ALLOWANCES:
        session.execute(delete(model).where(is_over))
    return 0


# Recipient and arguments of ended deliveries.
RETENTION["links"] = in_batches(
    update(Delivery).values(sealed_to=None, sealed_arguments=None),
    Delivery.sealed_arguments.is_not(None),
    Delivery.created_at < ago(ARGUMENTS_AGE),
    Delivery.finished_at < ago(ARGUMENTS_AGE),
    Delivery.due_at.is_(None),
)
# Ended single emails; an issue's deliveries are kept for its report. An undelivered message to the
# office is also kept, until someone has dealt with it.
_IS_OWED = (Delivery.kind == contact.KIND) & exists().where(ContactMessage.id == Delivery.about_id)
RETENTION["deliveries"] = in_batches(
    delete(Delivery),
    Delivery.newsletter_id.is_(None),
    Delivery.created_at < ago(DELIVERY_AGE),
    Delivery.finished_at < ago(DELIVERY_AGE),
    Delivery.due_at.is_(None),
    ~_IS_OWED,
)
RETENTION["unreadable requests"] = in_batches(
    delete(Job), Job.due_at < ago(UNREADABLE_AGE), Job.failures > 0
)
# No form is due so late. It is read, as the web’s clock may have been wrong.
RETENTION["requests due in years"] = in_batches(
    update(Job).values(due_at=NOW), Job.due_at > ago(-CLOCKS_DIFFER)
)
RETENTION["allowances"] = (
    _purge_allowances,
    or_(*(exists().where(is_over) for _, is_over in _ALLOWANCES)),
)
