"""Pausing an issue that servers refuse for what it says, or for how we send."""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.mail.outcomes import Verdict
from belong_mail.newsletters.models import Newsletter
from belong_mail.releases import service as releases
from belong_mail.returns import service as returns
from belong_mail.sending.models import Delivery, State

BACK = 250
"""Copies that are looked back at."""
MOST = 5
"""Of these may be refused so; more are two in a hundred (`trust.md` 1.8)."""
ABOUT_THE_ISSUE = (Verdict.POLICY, Verdict.CONTENT)

log = logging.getLogger(__name__)


def consider(session: Session, delivery_id: int) -> None:
    """Weigh that a mail did not arrive: for its issue, then for its recipient.

    Once too many of an issue were refused for what is not their recipients' fault, it is paused,
    and nobody loses it: those copies wait with the others. Who is refused again has lost it, so
    that a lead who goes on comes to an end.
    """
    delivery = session.get_one(Delivery, delivery_id)
    if returns.verdict_of(delivery) not in ABOUT_THE_ISSUE:
        return returns.consider(session, delivery_id)
    returns.blame_us(session)
    issue = session.get(Newsletter, delivery.newsletter_id or 0)
    if issue is None or issue.stopped_at is not None:
        return None
    refused = _refused(session, delivery)
    if issue.paused_at is None and len(refused) >= MOST:
        log.warning("Newsletter %d is refused, and paused: %s", issue.id, delivery.phrase or "")
        releases.pause(session, issue)
        issue.is_refused = True
    if issue.paused_at is not None:
        for each in refused:
            each.state, each.finished_at, each.attempts = State.DEFERRED, None, 1
    return None


def _refused(session: Session, delivery: Delivery) -> list[Delivery]:
    """List the copies about this one that were refused so, and at once."""
    failed = select(Delivery).where(
        Delivery.id.between(delivery.id - BACK, delivery.id + BACK),
        Delivery.newsletter_id == delivery.newsletter_id,
        Delivery.state == State.FAILED,
        Delivery.attempts == 0,
    )
    found = session.scalars(failed.order_by(Delivery.id))
    return [each for each in found if returns.verdict_of(each) in ABOUT_THE_ISSUE]
