"""Email the operator that email does not leave, bounces, or has not reached the office."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.rate_limits import ALERT_RATE
from belong_mail.delivery import outbox
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import SEALED_TO, Email, Mailer
from belong_mail.delivery.models import HALTED_NEWSLETTERS, Delivery, State
from belong_mail.inbound import bounces
from belong_mail.inbound.models import is_silent

LATE = timedelta(minutes=15)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told in which mail, and for how long not again."""

    kind: str
    key: bytes
    words: str
    is_on: Callable[[Session, datetime], bool]


def _late(at: datetime) -> Select[int]:
    """Select what waits for long and the relay has not judged.

    Whatever stops us (password, certificate, quota, network) keeps such mail in the queue.
    """
    return select(Delivery.id).where(
        Delivery.state == State.QUEUED,
        Delivery.due_at.is_not(None),
        Delivery.created_at < at - LATE,
        or_(Delivery.newsletter_id.is_(None), Delivery.newsletter_id.not_in(HALTED_NEWSLETTERS)),
    )


ALERTS = (
    Alert(
        "alert-operator",
        b"alert/late",
        "Email has been waiting for more than 15 minutes.",
        lambda session, at: session.scalar(_late(at).limit(1)) is not None,
    ),
    Alert(
        "alert-contact",
        b"alert/contact",
        "A message to the office or to group leaders was not delivered.",
        lambda session, _at: bool(contact.undelivered(session)),
    ),
    Alert("alert-returns", b"alert/returns", "Emails are bouncing.", bounces.is_alarming),
    Alert("alert-flood", b"alert/flood", "Very many forms are being sent.", rate_limits.is_flooded),
    Alert(
        "alert-lookups",
        b"alert/lookups",
        "Very many requests look up an address.",
        jobs.are_unusual,
    ),
    Alert(
        "alert-inbound",
        b"alert/inbound",
        "The mailbox for bounces has not been read for an hour.",
        is_silent,
    ),
)


# Told by a worker that does nothing else.
WRONG_KEYS = Alert(
    "alert-keys", b"alert/keys", "The worker's keys do not open the database.", lambda *_: True
)
KINDS = tuple(alarm.kind for alarm in (*ALERTS, WRONG_KEYS))


def check_alerts(
    session: Session, recipients: Sequence[Callable[[], bytes]], alarms: tuple[Alert, ...] = ALERTS
) -> None:
    """Ask for a mail about each alarm that is on, to each of those who are to be told.

    None is told again within six hours, nor while it has not been told: by the same relay.
    """
    at = now()
    for alarm in alarms:
        if rate_limits.available_at(session, alarm.key, at) > at or not alarm.is_on(session, at):
            continue
        untold = _late(at).where(Delivery.kind == alarm.kind).limit(1)
        if (
            session.scalar(untold) is None
            and rate_limits.record_use(session, alarm.key, ALERT_RATE, at) <= at
        ):
            log.error("%s Run `doctor`.", alarm.words)
            for seal in recipients:
                outbox.post(session, alarm.kind, sealed_to=seal())


def alert_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Write to one of those who are set to be told, whatever the delivery's row says."""
    if not mailer.operators:
        raise SkipDelivery(State.WITHDRAWN)
    named = ""
    with suppress(DecryptionError):  # also where keys are wrong the first is told
        named = mailer.opener.open(delivery.sealed_to or b"", SEALED_TO).decode()
    to = named if named in mailer.operators else mailer.operators[0]
    return Email(to=to, language=DEFAULT, context={"seen_at": delivery.created_at})


def canary_email(_session: Session, mailer: Mailer, _delivery: Delivery) -> Email:
    """Write to the address that is set for test emails, whatever the delivery's row says."""
    if not mailer.canary:
        raise SkipDelivery(State.WITHDRAWN)
    return Email(to=mailer.canary, language=DEFAULT)
