"""What the worker does with a message that came back: whose it is, and what follows."""

import logging
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.mail.outcomes import Verdict
from belong_mail.reports.reading import Kind, Report, read
from belong_mail.returns import service as returns
from belong_mail.sending import outcomes
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.names import Names
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import ASKING, Keyring

SOON = timedelta(minutes=1)
ELSEWHERE = None, "", "at another address"
"""Code, status and phrase of what failed only behind the mailbox that we wrote to."""

log = logging.getLogger(__name__)


def receive(names: Names, session: Session, keyring: Keyring, request: Request) -> None:
    """Find the delivery that a message is about, by the return path alone, and act on it.

    What names no delivery of ours, or one that has long been settled, changes nothing: so a forged
    report about somebody's address does nothing, and one that comes twice counts once.
    """
    held = keyring.opener.open(request.sealed or b"", subscriptions.SEALED)
    return_path, _, message = held.partition(b"\n")
    report = read(message)
    delivery = _named(session, names, (return_path.decode("ascii", "replace"), *report.paths))
    if delivery is None:
        return
    if delivery.state == State.SENDING:
        later = Request(kind=request.kind, sealed=request.sealed, due_at=now() + SOON)
        session.add(later)
    elif report.kind is Kind.BOUNCE:
        _bounce(session, keyring, delivery, report)
    elif report.kind is Kind.DELIVERED:
        outcomes.arrive(delivery)
    elif report.kind is Kind.UNSUBSCRIBE or (report.kind is Kind.COMPLAINT and report.suppress):
        _let_go(session, delivery, is_complaint=report.kind is Kind.COMPLAINT)


def _named(session: Session, names: Names, paths: Iterable[str]) -> Delivery | None:
    ids = (names.read(path) for path in paths)
    found = next((each for each in ids if each is not None), None)
    return None if found is None else session.get(Delivery, found, with_for_update=True)


def _bounce(session: Session, keyring: Keyring, delivery: Delivery, report: Report) -> None:
    is_own = _is_own(session, keyring, delivery, report)
    why = (report.code, report.status, report.phrase) if is_own else ELSEWHERE
    if not outcomes.bounce(delivery, *why):
        return
    if is_own and report.verdict in (*outcomes.ABOUT_US, Verdict.POLICY):
        log.warning("Mail comes back because of us: %s", report.phrase or report.status)
        returns.blame_us(session)
    returns.consider(session, delivery.id)


def _is_own(session: Session, keyring: Keyring, delivery: Delivery, report: Report) -> bool:
    """Tell whether it may be the member's own address that failed, not one they forward to."""
    member = session.get(Subscription, delivery.subscription_id or 0)
    if member is None or not report.recipients:
        return True
    return keyring.address(member).lower() in (each.lower() for each in report.recipients)


def _let_go(session: Session, delivery: Delivery, *, is_complaint: bool) -> None:
    """End a membership at its mailbox's wish.

    Who complains about a letter that asks whether they want to join is never asked again.
    """
    subscription = session.get(Subscription, delivery.subscription_id or 0)
    if subscription is not None:
        was_asked = delivery.kind in ASKING and not subscription.is_active
        is_for_ever = is_complaint and was_asked
        subscriptions.refuse(session, subscription.public_id, is_for_ever=is_for_ever)
