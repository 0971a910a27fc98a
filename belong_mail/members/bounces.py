"""End memberships whose email bounces again and again."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import BOUNCE_BREAKER_RATE, HOUR, OUR_FAULT_RATE
from belong_mail.delivery.models import Delivery, State
from belong_mail.members import service as members
from belong_mail.members.bounce_rules import BounceRule, rule_of
from belong_mail.members.models import Subscription

# Mails to one member that are looked back at.
LOOKBACK = 50
RECENT = timedelta(days=60)
# Of these it is known whether they arrived; what was not sent at all says nothing.
REPORTED = (State.ACCEPTED, State.BOUNCED, State.FAILED)
REMEMBERED = datetime.min.replace(tzinfo=UTC)
# More is not counted up, so that a flood is over two hours after its last address.
LONG_AGO = timedelta(hours=3)
OUR_FAULT_KEY: Final = b"returns/ours"
BREAKER: Final = b"returns/unknown"


def handle_bounce(session: Session, delivery_id: int) -> None:
    """Weigh that a mail did not arrive: end the membership when that was once too often.

    Behind a circuit breaker: when many addresses do not exist all at once, it is the mail system
    that errs. Then no membership ends, and those that ended within the hour go on.
    """
    delivery = session.get_one(Delivery, delivery_id)
    rule = rule_of(delivery)
    if rule is not None and (not rule.is_about_existence or _is_believed(session)):
        _apply(session, delivery, rule)


def override_breaker(session: Session) -> int:
    """Believe after all that addresses do not exist; return how many memberships have ended."""
    closed = update(rate_limits.Limit).where(rate_limits.Limit.key == BREAKER)
    session.execute(closed.values(used_until=0.0))
    is_recent = Delivery.finished_at > now() - RECENT
    told = select(Delivery).where(is_recent, Delivery.state.in_(REPORTED))
    bounced = select(Delivery.subscription_id).where(is_recent, Delivery.state == State.BOUNCED)
    of_them = told.where(Delivery.subscription_id.in_(bounced))
    found = session.scalars(of_them.order_by(Delivery.finished_at, Delivery.id))
    last = {each.subscription_id: each for each in found}
    return sum(_apply(session, each, rule_of(each)) for each in last.values())


def accept_for_office(session: Session) -> None:
    """Believe, by the office's word, that addresses do not exist; it is written down who did."""
    audit.record(session, audit.Kind.BOUNCES_ACCEPTED)
    override_breaker(session)


def undo_for_office(session: Session, since: datetime) -> None:
    """Bring back, by the office's word, who was lost since a time; it is written down who did."""
    audit.record(session, audit.Kind.BOUNCES_UNDONE)
    restore(bounced_members(session, since, now()))


def record_our_fault(session: Session) -> None:
    """Note that mail comes back for what is ours to mend."""
    rate_limits.record_use(session, OUR_FAULT_KEY, OUR_FAULT_RATE, now())


def bounced_members(session: Session, since: datetime, until: datetime) -> list[Subscription]:
    """List the memberships that ended within a time because mail came back."""
    ended = Subscription.ended_at.between(since, until)
    found = select(Subscription).where(Subscription.is_unreachable, ended)
    return list(session.scalars(found.with_for_update()))


def restore(memberships: Iterable[Subscription]) -> None:
    """Let lost memberships go on, from now: an issue that is queued was planned without them."""
    at = now()
    for each in memberships:
        each.confirmed_at, each.ended_at, each.is_unreachable = at, None, False


def count_bounced(session: Session, since: datetime) -> int:
    """Count the memberships that ended since a time because mail came back."""
    ended = select(func.count(Subscription.id)).where(
        Subscription.is_unreachable, Subscription.ended_at >= since
    )
    return session.scalar(ended) or 0


def ended_by_day(session: Session) -> dict[date, int]:
    """Count the lost memberships that are still kept by the day (in UTC) on which they ended."""
    days = (
        each.ended_at.date()
        for each in bounced_members(session, REMEMBERED, now())
        if each.ended_at
    )
    return dict(sorted(Counter(days).items()))


def breaker_until(session: Session, at: datetime) -> datetime | None:
    """Return until when nobody believes that addresses do not exist; None: all is as usual."""
    until = rate_limits.available_at(session, BREAKER, at) - HOUR
    return until if until > at else None


def is_alarming(session: Session, at: datetime) -> bool:
    """Tell whether an operator should know: too many unknown addresses, or it is our fault."""
    return (
        bool(breaker_until(session, at))
        or rate_limits.available_at(session, OUR_FAULT_KEY, at) > at
    )


def _is_believed(session: Session) -> bool:
    """Count an address that is said not to exist; tell whether that is still a usual number."""
    at = now()
    if rate_limits.available_at(session, BREAKER, at) > at + LONG_AGO:
        return False
    wait = rate_limits.record_use(session, BREAKER, BOUNCE_BREAKER_RATE, at) - at
    if timedelta(0) < wait <= HOUR / BOUNCE_BREAKER_RATE.burst:
        restore(bounced_members(session, at - HOUR, at))
    return not wait


def _apply(session: Session, delivery: Delivery, rule: BounceRule | None) -> bool:
    """End the membership that a mail was for, if it was the last one of too many."""
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
    """Yield the mails to a member that did not arrive, the newest first, back to one that did."""
    is_earlier = Delivery.finished_at < delivery.finished_at
    told = select(Delivery).where(
        Delivery.subscription_id == delivery.subscription_id,
        Delivery.state.in_(REPORTED),
        is_earlier | (Delivery.id == delivery.id),
    )
    newest = told.order_by(Delivery.finished_at.desc(), Delivery.id.desc()).limit(LOOKBACK)
    return takewhile(lambda one: one.state != State.ACCEPTED, session.scalars(newest))
