"""Pause an issue that servers often refuse, or that is not sent for an hour."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import CompoundSelect, exists, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import is_older
from belong_mail.delivery import retry, throttle
from belong_mail.delivery.models import HALTED_NEWSLETTERS, Chunk, Delivery, State
from belong_mail.delivery.work import Work, each_minute
from belong_mail.inbound import bounces, hard_bounces
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.tasks import LATE_AFTER, ask_leads

# Refusals are counted among so many deliveries before and after one, by id.
LOOKBACK_ROWS = 250
# Refusals that pause an issue: 2% of LOOKBACK_ROWS, or half of the copies of a small one.
MAX_REFUSED = 5
ABOUT_THE_ISSUE = (ReplyClass.POLICY, ReplyClass.CONTENT)
log = logging.getLogger(__name__)


def pause_if_refused(session: Session, delivery_id: int) -> None:
    """Handle a permanent failure; one for policy or content counts for the issue alone.

    If too many copies are refused like this, the issue is paused, and these copies are deferred. A
    copy that is refused again fails, so that a resumed issue comes to an end.
    """
    delivery = session.get_one(Delivery, delivery_id)
    if hard_bounces.reclassify(delivery) not in ABOUT_THE_ISSUE:
        return bounces.handle_bounce(session, delivery_id)
    bounces.record_our_fault(session)
    issue = session.get(Newsletter, delivery.newsletter_id or 0)
    if issue is None or issue.stopped_at is not None:
        return None
    refused = _refused(session, delivery)
    recipients = newsletters.report(session, issue)["recipients"]
    are_many = len(refused) >= MAX_REFUSED or 2 * len(refused) >= recipients
    if issue.paused_at is None and are_many:
        log.warning("Newsletter %d is refused, and paused: %s", issue.id, delivery.phrase or "")
        release.act(session, issue, release.pause)
        issue.is_refused = True
    if issue.paused_at is not None:
        for each in refused:
            each.state, each.finished_at, each.attempts = State.DEFERRED, None, 1
    return None


def _refused(session: Session, delivery: Delivery) -> list[Delivery]:
    """List recent copies that were refused like this one."""
    failed = select(Delivery).where(
        Delivery.id.between(delivery.id - LOOKBACK_ROWS, delivery.id + LOOKBACK_ROWS),
        Delivery.newsletter_id == delivery.newsletter_id,
        Delivery.state == State.FAILED,
        Delivery.attempts == 0,
    )
    found = session.scalars(failed.order_by(Delivery.id))
    return [each for each in found if hard_bounces.reclassify(each) in ABOUT_THE_ISSUE]


# After a relay's quota reply, sending rests for an hour; then it is tried once more.
STILL_LATE = LATE_AFTER + timedelta(minutes=5)


@each_minute("Late issues leave", exists().where(newsletters.IS_UNDER_WAY))
def pause_late(work: Work) -> None:
    """Pause each issue with untried copies, if no email was sent for an hour.

    Either the relay or the worker was down. If a daily quota, ours or the relay's, is used up, an
    issue may wait for a day. Deferred copies older than `retry.GIVE_UP_AFTER` expire.
    """
    session, at, daily_quota = work.session, work.at, work.settings.daily_quota
    late = at - STILL_LATE
    _expire(session, at)
    if (last := throttle.last_left(session)) is not None and last > late:
        return
    if daily_quota is not None and throttle.left_within_a_day(session, late) >= daily_quota:
        return
    going = select(Newsletter).where(
        Newsletter.id.in_(_untried()),
        Newsletter.paused_at.is_(None),
        Newsletter.stopped_at.is_(None),
        is_older(func.coalesce(Newsletter.resumed_at, Newsletter.queued_at), STILL_LATE),
    )
    for issue in session.scalars(going.with_for_update(skip_locked=True, key_share=True)).all():
        begun = issue.resumed_at or issue.queued_at or at
        if begun > late - throttle.DAY and _is_limited(session, issue):
            continue
        log.warning("Newsletter %d stood still for an hour, and is paused.", issue.id)
        release.act(session, issue, release.pause)
        issue.is_late = True
        ask_leads(work, issue, "paused")


def _untried() -> CompoundSelect[int]:
    """Select the issues with copies that were neither sent nor deferred."""
    chunks = select(Chunk.newsletter_id).where(Chunk.inserted.is_(None))
    copies = select(Delivery.newsletter_id).where(
        Delivery.newsletter_id.is_not(None),
        Delivery.due_at.is_not(None),
        Delivery.state == State.QUEUED,
    )
    return chunks.union(copies)


def _is_limited(session: Session, issue: Newsletter) -> bool:
    """Return whether a stored reply of the relay reports a quota that is used up."""
    answered = select(Delivery.code, Delivery.enhanced, Delivery.phrase).where(
        Delivery.newsletter_id == issue.id,
        Delivery.due_at.is_not(None),
        Delivery.state == State.QUEUED,
        Delivery.code.is_not(None),
    )
    replies = (
        Reply(code or 0, f"{enhanced or ''} {phrase or ''}", "RCPT")
        for code, enhanced, phrase in session.execute(answered)
    )
    return any(classify_reply(reply) is ReplyClass.QUOTA for reply in replies)


def _expire(session: Session, at: datetime) -> None:
    """Expire deferred copies that have waited longer than `retry.GIVE_UP_AFTER`."""
    old = update(Delivery).where(
        Delivery.newsletter_id.is_not(None),
        Delivery.due_at.is_not(None),
        Delivery.state == State.DEFERRED,
        Delivery.created_at < at - retry.GIVE_UP_AFTER["newsletter"],
        Delivery.newsletter_id.not_in(HALTED_NEWSLETTERS),
    )
    ended = old.values(state=State.EXPIRED, finished_at=at, due_at=None)
    session.execute(ended.execution_options(synchronize_session=False))
