"""End memberships whose email bounces repeatedly."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from belong_mail.core import audit, rate_limits
from belong_mail.core.db import ahead, now
from belong_mail.core.rate_limits import (
    BOUNCE_BREAKER_RATE,
    BOUNCE_MEMBER_RATE,
    HOUR,
    OUR_FAULT_RATE,
    WorkerLimit,
)
from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound.hard_bounces import BounceRule, rule_of
from belong_mail.members import service as members
from belong_mail.members.models import Subscription

log = logging.getLogger(__name__)
# Earlier emails to a member that are considered.
LOOKBACK = 50
RECENT = timedelta(days=60)
# States in which it is known whether an email arrived; unsent ones are ignored.
REPORTED = (State.ACCEPTED, State.BOUNCED, State.FAILED)
# The breaker's count goes no further ahead, so that it closes two hours after the last such bounce.
LONG_AGO = timedelta(hours=3)
OUR_FAULT_KEY: Final = b"returns/ours"
BREAKER: Final = b"returns/unknown"
MEMBER_KEY: Final = b"returns/member/"
IS_OPEN = exists().where(WorkerLimit.key == BREAKER, WorkerLimit.used_until > ahead(HOUR))
# Whether to alert an operator: the breaker is open, or our setup causes bounces.
IS_ALARMING = select(or_(IS_OPEN, rate_limits.is_used_up(OUR_FAULT_KEY, OUR_FAULT_RATE)))
_BOUNCED = select(func.count(Subscription.id)).where(
    Subscription.is_unreachable, Subscription.ended_at >= bindparam("since")
)


def handle_bounce(session: Session, delivery_id: int) -> None:
    """Count an email that did not arrive; end the membership if a bounce rule says so.

    Unknown addresses count in a circuit breaker: many at once mean that a mail system is at fault.
    Then no such bounce ends a membership, and memberships that ended within the hour are restored.
    """
    delivery = session.get_one(Delivery, delivery_id)
    rule = rule_of(delivery)
    if rule is None:
        return
    member = session.get(Subscription, delivery.subscription_id or 0)
    if member is None or member.confirmed_at is None:
        return  # No membership, or one that is mistyped or of an old list.
    if not rule.is_about_existence or _is_believed(session, member):
        _apply(session, delivery, rule)


def override_breaker(session: Session) -> int:
    """Close the breaker, and apply the bounces held back; return the memberships ended."""
    rate_limits.forget(session, BREAKER)
    is_recent = Delivery.finished_at > now() - RECENT
    told = select(Delivery).where(is_recent, Delivery.state.in_(REPORTED))
    bounced = select(Delivery.subscription_id).where(is_recent, Delivery.state == State.BOUNCED)
    of_them = told.where(Delivery.subscription_id.in_(bounced))
    found = session.scalars(of_them.order_by(Delivery.finished_at, Delivery.id))
    last = {each.subscription_id: each for each in found}
    return sum(_apply(session, each, rule_of(each)) for each in last.values())


def undo_for_office(session: Session, since: datetime) -> None:
    """Restore, for the office, memberships that bounces ended since a time, with an audit entry."""
    audit.record(session, audit.Kind.BOUNCES_UNDONE)
    restore(bounced_members(session, since))


def record_our_fault(session: Session) -> None:
    """Note, for an alarm, that our own setup makes emails bounce."""
    rate_limits.record_use(session, OUR_FAULT_KEY, OUR_FAULT_RATE, now())


def bounced_members(session: Session, since: datetime) -> list[Subscription]:
    """List the memberships that bounces ended since a time, locked for update."""
    found = select(Subscription).where(Subscription.is_unreachable, Subscription.ended_at >= since)
    return list(session.scalars(found.with_for_update()))


def restore(memberships: Iterable[Subscription]) -> None:
    """Make ended memberships active again; issues already queued do not include them."""
    at = now()
    for each in memberships:
        each.confirmed_at, each.ended_at, each.is_unreachable = at, None, False


def count_bounced(session: Session, since: datetime) -> int:
    """Count the memberships that bounces ended since a time."""
    return session.scalar(_BOUNCED, {"since": since}) or 0


def breaker_until(session: Session, at: datetime) -> datetime | None:
    """Return when the breaker closes, or None if it is not open."""
    until = rate_limits.available_at(session, BREAKER, at) - HOUR
    return until if until > at else None


def _is_believed(session: Session, member: Subscription) -> bool:
    """Count an unknown address; return whether the breaker is closed.

    A membership counts once an hour, so that one reader's reports do not open the breaker.
    """
    at, counted_as = now(), MEMBER_KEY + member.address_index
    until = rate_limits.available_at(session, BREAKER, at)
    if until > at + LONG_AGO:
        return False
    if rate_limits.try_use(session, counted_as, BOUNCE_MEMBER_RATE, at) is None:
        return until <= at + HOUR  # counted within the hour: only look
    wait = rate_limits.record_use(session, BREAKER, BOUNCE_BREAKER_RATE, at) - at
    if timedelta(0) < wait <= HOUR / BOUNCE_BREAKER_RATE.burst:
        log.warning("Too many addresses are said not to exist at once: no membership ends.")
        restore(bounced_members(session, at - HOUR))
    return not wait


def _apply(session: Session, delivery: Delivery, rule: BounceRule | None) -> bool:
    """End the membership of a bounced email if its bounces in a row satisfy the rule."""
    member = session.get(Subscription, delivery.subscription_id or 0)
    if rule is None or delivery.state == State.ACCEPTED or member is None or not member.is_active:
        return False
    times = [one.finished_at for one in _in_a_row(session, delivery) if rule_of(one) == rule]
    first, last = times[-1], times[0]
    if len(times) < rule.times or first is None or last is None or last - first < rule.over:
        return False
    members.leave(session, member.public_id)
    member.is_unreachable = True
    return True


def _in_a_row(session: Session, delivery: Delivery) -> Iterator[Delivery]:
    """Yield the emails to a member that did not arrive, newest first, back to one that did."""
    is_earlier = Delivery.finished_at < delivery.finished_at
    told = select(Delivery).where(
        Delivery.subscription_id == delivery.subscription_id,
        Delivery.state.in_(REPORTED),
        is_earlier | (Delivery.id == delivery.id),
    )
    newest = told.order_by(Delivery.finished_at.desc(), Delivery.id.desc()).limit(LOOKBACK)
    return takewhile(lambda one: one.state != State.ACCEPTED, session.scalars(newest))
