"""Delete old messages and threads."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists

from belong_mail.contact import service
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.core.retention import DELIVERY_AGE, THREAD_MAX_AGE, in_batches, older_than
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import RETENTION


def _mailed(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match messages that were emailed, or sent twice with an uncertain outcome."""
    is_mailed = exists().where(
        Delivery.about_id == ContactMessage.id,
        Delivery.kind == service.KIND,
        Delivery.state.in_((State.ACCEPTED, State.UNCERTAIN)),
        Delivery.due_at.is_(None),
        Delivery.finished_at < at - DELIVERY_AGE,
    )
    return (is_mailed,)


RETENTION["contact messages"] = in_batches(delete(ContactMessage), _mailed)
RETENTION["contact threads"] = in_batches(
    delete(Thread), older_than(Thread.last_at, THREAD_MAX_AGE)
)
