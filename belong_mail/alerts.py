"""Telling the operator that mail does not leave, comes back, or has not reached the office."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.contact import service as contact
from belong_mail.db import now
from belong_mail.outbox import service as outbox
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.returns import service as returns
from belong_mail.sending.models import HALTED, Delivery, State

LATE = timedelta(minutes=15)
RATE = limits.Rate(1, timedelta(hours=6))

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
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
        or_(Delivery.newsletter_id.is_(None), Delivery.newsletter_id.not_in(HALTED)),
    )


def _does_wait(session: Session, at: datetime) -> bool:
    return session.scalar(_late(at).limit(1)) is not None


ALARMS = (
    Alarm(
        "alert-operator",
        b"alert/late",
        "Mail waits for more than 15 minutes.",
        _does_wait,
    ),
    Alarm(
        "alert-contact",
        b"alert/contact",
        "A message to the office or to leads has not arrived.",
        lambda session, _at: bool(contact.undelivered(session)),
    ),
    Alarm("alert-returns", b"alert/returns", "Mail comes back.", returns.is_alarming),
)


def watch(session: Session, seal: Callable[[], bytes]) -> None:
    """Ask for a mail to the operator about each alarm that is on.

    None is told again within six hours, nor while it has not been told: by the same relay.
    """
    at = now()
    for alarm in ALARMS:
        if limits.free_at(session, alarm.key, at) > at or not alarm.is_on(session, at):
            continue
        untold = _late(at).where(Delivery.kind == alarm.kind).limit(1)
        if session.scalar(untold) is None and limits.admit(session, alarm.key, RATE, at) <= at:
            log.error("%s Run `doctor`.", alarm.words)
            outbox.post(session, alarm.kind, sealed_to=seal())


def letter(_session: Session, desk: Desk, delivery: Delivery) -> Letter:
    to = desk.opener.open(delivery.sealed_to or b"", "deliveries.sealed_to").decode()
    return Letter(to=to, language="en", context={"seen_at": delivery.created_at})
