"""Collect the worker's emails and periodic tasks from all rooms."""

import logging
from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.database_errors import NO_DATABASE, is_too_slow
from belong_mail.core.db import now
from belong_mail.core.services import Settings
from belong_mail.core.statements import in_ids
from belong_mail.delivery.dispatcher import Compose, IssuePaused
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.throttle import SendPolicy
from belong_mail.delivery.work import Work
from belong_mail.groups import service as groups
from belong_mail.mail.message.mime import Envelope
from belong_mail.members import reminders
from belong_mail.members.counts import count_watched
from belong_mail.monitoring.alerts import send_alerts
from belong_mail.monitoring.measures import Site
from belong_mail.newsletters import auto_pause
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.issue_mailer import IssueMailer, envelope_of
from belong_mail.ops import figures, key_rotation
from belong_mail.ops.rooms import COPIES, EMAILS, PERIODIC_TASKS, RETENTION
from belong_mail.worker.periodic_tasks import PeriodicTask

log = logging.getLogger(__name__)


def periodic_tasks(
    mailer: Mailer, settings: Settings, policy: SendPolicy
) -> dict[str, PeriodicTask]:
    """Return the periodic tasks, by the text that is logged when they fail."""

    def work(do: Callable[[Work], object], session: Session) -> object:
        return do(Work(session=session, mailer=mailer, at=now()))

    found: dict[str, PeriodicTask] = {
        # Alerts come first: rows that the web wrote may make any other task slow.
        "No alert is sent": lambda session: send_alerts(
            Site(session, settings, now()), mailer.keys, mailer.operators
        ),
        "Names of groups are not kept": groups.note_names,
        "Leads see old numbers": count_watched,
        "Older keys stay in use": lambda session: bool(key_rotation.rewrap(session, mailer.opener)),
        "Late issues leave": partial(
            work, partial(auto_pause.pause_late, daily_quota=policy.daily_quota)
        ),
        "The office sees old numbers": figures.count_suppressions,
        "The office does not see that many bounces are not believed": figures.note_breaker,
        "Nobody is reminded": lambda session: reminders.queue_due(session, mailer.zone, now()),
    }
    found |= {complaint: partial(work, do) for complaint, do in PERIODIC_TASKS.items()}
    found |= {f"What is over stays ({name})": rule for name, rule in RETENTION.items()}
    found["No end of an issue is logged"] = lambda session: newsletters.log_endings(session, now())
    return found


def compose_deliveries(
    mailer: Mailer, issue_mailer: IssueMailer, session: Session, ids: list[int]
) -> Iterator[tuple[int, Compose]]:
    """Yield ids and renderers of deliveries, reading what these need; copies of issues at once.

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
            return _read_single(mailer, session, session.get_one(Delivery, delivery_id))
    except NO_DATABASE:
        raise
    except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
        return partial(_raise, error)


def _read_single(mailer: Mailer, session: Session, delivery: Delivery) -> Compose:
    if delivery.kind in COPIES:
        copy = COPIES[delivery.kind](session, mailer, delivery)
        return partial(envelope_of, mailer, delivery, copy)
    return partial(mailer.envelope, delivery, EMAILS[delivery.kind](session, mailer, delivery))


def _raise(error: Exception) -> Envelope:
    raise error
