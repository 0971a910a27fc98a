"""Delete old messages and threads."""

from sqlalchemy import delete, exists

from belong_mail.contact import service
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.core.db import ago
from belong_mail.core.retention import DELIVERY_AGE, THREAD_MAX_AGE, in_batches
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import RETENTION

# Messages that were emailed, or sent twice with an uncertain outcome.
_IS_MAILED = exists().where(
    Delivery.about_id == ContactMessage.id,
    Delivery.kind == service.KIND,
    Delivery.state.in_((State.ACCEPTED, State.UNCERTAIN)),
    Delivery.due_at.is_(None),
    Delivery.finished_at < ago(DELIVERY_AGE),
)
RETENTION["contact messages"] = in_batches(delete(ContactMessage), _IS_MAILED)
RETENTION["contact threads"] = in_batches(delete(Thread), Thread.last_at < ago(THREAD_MAX_AGE))
