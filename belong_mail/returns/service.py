"""Taking in what came back, and ending memberships whose mail comes back again and again."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import now
from belong_mail.mail.outcomes import Reply, Verdict, judge
from belong_mail.sealing import Sealer
from belong_mail.sending.models import Delivery, State
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Request, Subscription

KIND = "return"
MOST_WAITING, MOST_OCTETS = 10_000, 100_000_000
"""Messages that have not been read, and their size: a flood must not fill the disk."""
BACK = 50
"""Mails to one member that are looked back at."""
HOUR = timedelta(hours=1)
RECENT = timedelta(days=60)
TOLD = (State.ACCEPTED, State.BOUNCED, State.FAILED)
"""Of these it is known whether they arrived; what was not sent at all says nothing."""
EVER = datetime.min.replace(tzinfo=UTC)
LONG = timedelta(hours=3)
"""More is not counted up, so that a flood is over two hours after its last address."""
OURS: Final = b"returns/ours"
BREAKER: Final = b"returns/unknown"
USUAL: Final = limits.Rate(19, HOUR)
"""Addresses said not to exist; more of them are not believed for a while (Gmail, December 2020)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """So many mails in a row, over so long, end a membership."""

    times: int
    over: timedelta
    is_about_existence: bool = False
    statuses: str = ""
    phrase: str = ""


UNKNOWN: Final = Rule(2, timedelta(hours=12), is_about_existence=True)
"""On two days: a directory that is out of order for an hour takes nobody's membership."""
RULES: Final = (
    Rule(5, timedelta(days=30), statuses=r"[45]\.2\.2", phrase="mailbox full"),
    Rule(3, timedelta(days=2), statuses=r"5\.2\.1|5\.7\.13", phrase="account disabled"),
    Rule(
        2,
        timedelta(hours=24),
        is_about_existence=True,
        statuses=r"5\.1\.2|5\.4\.4",
        phrase="domain not found",
    ),
)
"""Beside UNKNOWN; `trust.md` 1.8, counted in a row where that counts in a time."""


class TooMany(Exception):
    """The worker has not read what came before: the mail server had better keep it."""


def take(session: Session, sealer: Sealer, return_path: str, message: bytes) -> None:
    """Keep a message that came back to a return path, or to an unknown one (""), sealed.

    The worker reads it. What comes twice is kept twice, and counts once. Raises TooMany.
    """
    size = func.coalesce(func.sum(func.length(Request.sealed)), 0)
    waiting = select(func.count(Request.id), size).where(Request.kind == KIND)
    number, octets = session.execute(waiting).one()
    if number >= MOST_WAITING or octets + len(message) > MOST_OCTETS:
        raise TooMany
    held = return_path.encode() + b"\n" + message
    session.add(Request(kind=KIND, sealed=sealer.seal(held, subscriptions.SEALED)))


def consider(session: Session, delivery_id: int) -> None:
    """Weigh that a mail did not arrive: end the membership when that was once too often.

    Behind a circuit breaker: when many addresses do not exist all at once, it is the mail system
    that errs. Then no membership ends, and those that ended within the hour go on.
    """
    delivery = session.get_one(Delivery, delivery_id)
    rule = rule_of(delivery)
    if rule is not None and (not rule.is_about_existence or _is_believed(session)):
        _apply(session, delivery, rule)


def accept(session: Session) -> int:
    """Believe after all that addresses do not exist; return how many memberships have ended."""
    session.execute(delete(limits.Limit).where(limits.Limit.key == BREAKER))
    is_recent = Delivery.finished_at > now() - RECENT
    told = select(Delivery).where(is_recent, Delivery.state.in_(TOLD))
    bounced = select(Delivery.subscription_id).where(is_recent, Delivery.state == State.BOUNCED)
    of_them = told.where(Delivery.subscription_id.in_(bounced))
    found = session.scalars(of_them.order_by(Delivery.finished_at, Delivery.id))
    last = {each.subscription_id: each for each in found}
    return sum(_apply(session, each, rule_of(each)) for each in last.values())


def blame_us(session: Session) -> None:
    """Note that mail comes back for what is ours to mend."""
    limits.admit(session, OURS, limits.Rate(1, HOUR), now())


def lost(session: Session, since: datetime, until: datetime) -> list[Subscription]:
    """List the memberships that ended within a time because mail came back."""
    ended = Subscription.ended_at.between(since, until)
    found = select(Subscription).where(Subscription.is_unreachable, ended)
    return list(session.scalars(found.with_for_update()))


def regain(memberships: Iterable[Subscription]) -> None:
    """Let lost memberships go on, from now: an issue that is queued was planned without them."""
    at = now()
    for each in memberships:
        each.confirmed_at, each.ended_at, each.is_unreachable = at, None, False


def ended_by_day(session: Session) -> dict[date, int]:
    """Count the lost memberships that are still kept by the day (in UTC) on which they ended."""
    days = (each.ended_at.date() for each in lost(session, EVER, now()) if each.ended_at)
    return dict(sorted(Counter(days).items()))


def doubted_until(session: Session, at: datetime) -> datetime | None:
    """Return until when nobody believes that addresses do not exist; None: all is as usual."""
    until = limits.free_at(session, BREAKER, at) - HOUR
    return until if until > at else None


def is_alarming(session: Session, at: datetime) -> bool:
    """Tell whether an operator should know: too many unknown addresses, or it is our fault."""
    return bool(doubted_until(session, at)) or limits.free_at(session, OURS, at) > at


def _is_believed(session: Session) -> bool:
    """Count an address that is said not to exist; tell whether that is still a usual number."""
    at = now()
    if limits.free_at(session, BREAKER, at) > at + LONG:
        return False
    wait = limits.admit(session, BREAKER, USUAL, at) - at
    if timedelta(0) < wait <= HOUR / USUAL.burst:
        regain(lost(session, at - HOUR, at))
    return not wait


def _apply(session: Session, delivery: Delivery, rule: Rule | None) -> bool:
    """End the membership that a mail was for, if it was the last one of too many."""
    member = session.get(Subscription, delivery.subscription_id or 0)
    if rule is None or delivery.state == State.ACCEPTED or member is None or not member.is_active:
        return False
    times = [one.finished_at for one in _in_a_row(session, delivery) if rule_of(one) == rule]
    first, last = times[-1], times[0]
    if len(times) < rule.times or first is None or last is None or last - first < rule.over:
        return False
    subscriptions.leave(session, member.public_id)
    member.is_unreachable = True
    return True


def _in_a_row(session: Session, delivery: Delivery) -> Iterator[Delivery]:
    """Yield the mails to a member that did not arrive, the newest first, back to one that did."""
    is_earlier = Delivery.finished_at < delivery.finished_at
    told = select(Delivery).where(
        Delivery.subscription_id == delivery.subscription_id,
        Delivery.state.in_(TOLD),
        is_earlier | (Delivery.id == delivery.id),
    )
    newest = told.order_by(Delivery.finished_at.desc(), Delivery.id.desc()).limit(BACK)
    return takewhile(lambda one: one.state != State.ACCEPTED, session.scalars(newest))


def rule_of(delivery: Delivery) -> Rule | None:
    """Return by which rule a mail counts that did not arrive; None when the address has no part."""
    verdict = verdict_of(delivery)
    if verdict is Verdict.REFUSED:
        return UNKNOWN
    if verdict not in (Verdict.FAIL, Verdict.DEFER):
        return None
    status, phrase = delivery.enhanced or "", delivery.phrase
    fitting = (one for one in RULES if re.fullmatch(one.statuses, status) or one.phrase == phrase)
    return next(fitting, None)


def verdict_of(delivery: Delivery) -> Verdict:
    """Judge again by what is kept of a reply: its codes, and our name for what it said."""
    enhanced, phrase = delivery.enhanced or "", delivery.phrase or ""
    code = delivery.code or (450 if enhanced.startswith("4") else 550)
    return judge(Reply(code, f"{enhanced} {phrase}", "RCPT"))
