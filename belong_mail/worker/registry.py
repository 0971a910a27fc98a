"""Collect the worker's emails and periodic tasks from all rooms."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

import belong_mail.ops.key_rotation  # noqa: F401 - declares a periodic task
from belong_mail.core.database_errors import NO_DATABASE, is_too_slow
from belong_mail.core.statements import in_ids
from belong_mail.delivery.dispatcher import Compose, IssuePaused
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import Work
from belong_mail.mail.message.mime import Copy
from belong_mail.monitoring.alerts import NO_ALERT
from belong_mail.newsletters.issue_mailer import IssueMailer
from belong_mail.ops.rooms import COPIES, EMAILS, PERIODIC_TASKS, RETENTION
from belong_mail.worker.periodic_tasks import PeriodicTask

log = logging.getLogger(__name__)


def periodic_tasks(work_in: Callable[[Session], Work]) -> dict[str, PeriodicTask]:
    """Return the periodic tasks, by the text that is logged when they fail."""

    def run(do: Callable[[Work], object], session: Session) -> object:
        return do(work_in(session))

    # Alerts come first: rows that the web wrote may make any other task slow.
    in_turn = sorted(PERIODIC_TASKS.items(), key=lambda entry: entry[0] != NO_ALERT)
    found: dict[str, PeriodicTask] = {
        complaint: (partial(run, do), is_due) for complaint, (do, is_due) in in_turn
    }
    return found | {f"What is over stays ({name})": rule for name, rule in RETENTION.items()}


def compose_deliveries(
    mailer: Mailer, issue_mailer: IssueMailer, session: Session, ids: list[int]
) -> Iterator[tuple[int, Compose]]:
    """Yield ids and renderers of deliveries, reading their data; copies of issues in one query.

    A delivery that takes too long is deferred, and the single ones after it are put off to the next
    turn, as several could outlast the lease.
    """
    is_of_issue = in_ids(Delivery.id, "ids"), Delivery.newsletter_id.is_not(None)
    copies = list(session.scalars(select(Delivery.id).where(*is_of_issue), {"ids": ids}))
    of_issues, is_slow = dict(issue_mailer.read(session, copies) if copies else ()), False
    for delivery_id in ids:
        if delivery_id in of_issues:
            yield delivery_id, of_issues[delivery_id]
        elif is_slow:
            yield delivery_id, partial(_raise, IssuePaused())
        else:
            try:
                yield delivery_id, _compose_single(mailer, session, delivery_id)
            except NO_DATABASE as error:
                if not is_too_slow(error):
                    raise
                is_slow = True
                yield delivery_id, partial(_raise, error)


def _compose_single(mailer: Mailer, session: Session, delivery_id: int) -> Compose:
    """Read a single email's data; return a function that renders it or raises the error.

    Rendering now would make forms wait for the lock of this transaction.
    """
    try:
        with session.begin_nested():
            delivery = session.get_one(Delivery, delivery_id)
            if delivery.kind in COPIES:
                return COPIES[delivery.kind](session, mailer, delivery)
            letter = EMAILS[delivery.kind](session, mailer, delivery)
            return partial(mailer.write, delivery, letter)
    except NO_DATABASE:
        raise
    except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
        return partial(_raise, error)


def _raise(error: Exception) -> Copy:
    raise error
