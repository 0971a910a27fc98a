"""Telling the operator, in one mail, that mail does not leave; the doctor says why."""

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import now
from belong_mail.outbox import service as outbox
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State

KIND = "alert-operator"
LATE = timedelta(minutes=15)
RATE = limits.Rate(1, timedelta(hours=6))
KEY = b"alert/late"

log = logging.getLogger(__name__)


def watch(session: Session, seal: Callable[[], bytes]) -> None:
    """Ask for a mail to the operator when one waits for long whom the relay has not judged.

    Whatever stops us (password, certificate, quota, network) keeps such mail in the queue. It is
    not told again within six hours, nor while it has not been told: by the same relay.
    """
    at = now()
    late = select(Delivery.id).where(
        Delivery.state == State.QUEUED,
        Delivery.due_at.is_not(None),
        Delivery.created_at < at - LATE,
    )
    if session.scalar(late.limit(1)) is None or limits.free_at(session, KEY, at) > at:
        return
    untold = late.where(Delivery.kind == KIND)
    if session.scalar(untold.limit(1)) is None and limits.admit(session, KEY, RATE, at) <= at:
        log.error("Mail waits for more than 15 minutes. Run `doctor`.")
        outbox.post(session, KIND, sealed_to=seal())


def letter(_session: Session, desk: Desk, delivery: Delivery) -> Letter:
    to = desk.opener.open(delivery.sealed_to or b"", "deliveries.sealed_to").decode()
    return Letter(to=to, language="en", context={"seen_at": delivery.created_at})
