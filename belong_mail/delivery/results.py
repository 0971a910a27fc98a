"""Store the results of many deliveries at once, also for a dead worker."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import UtcTime, now
from belong_mail.core.statements import Call, CompiledStatement, in_ids, run_together
from belong_mail.delivery import outcomes, retry, throttle
from belong_mail.delivery.journal import JournalEntry
from belong_mail.delivery.models import LEASE, Delivery, Lease, State
from belong_mail.delivery.worker_lock import WorkerLock, WorkerStatus

# A lease that ends later was written by a clock that ran ahead.
FARTHEST_LEASE = 2 * LEASE
UNDELIVERED = (State.BOUNCED, State.FAILED)


def settle(
    session: Session,
    owner: str,
    results: Collection[tuple[int, outcomes.Outcome]],
    uncertain: timedelta | None,
    rest_until: datetime | None,
) -> tuple[list[int], list[int]]:
    """Store results of deliveries that an owner still holds; ignore others.

    Returns the ids of accepted ones, which `accept` stores, and of permanent failures.
    """
    accepted, stale = list[int](), 0
    given_back: dict[timedelta | None, list[int]] = {}
    others: dict[int, outcomes.Outcome] = {}
    for delivery_id, outcome in results:
        if outcome is outcomes.ACCEPTED:
            accepted.append(delivery_id)
        elif outcome.is_given_back:
            given_back.setdefault(outcome.again, []).append(delivery_id)
            stale += outcome is outcomes.STALE
        else:
            others.setdefault(delivery_id, outcome)
    session.flush()
    for again, ids in given_back.items():
        _give_back(session, owner, ids, now() + again if again else rest_until)
    dots, undelivered = _apply_others(session, owner, others, uncertain, rest_until)
    throttle.count_sent(session, owner, dots, stale)
    return accepted, undelivered


def _apply_others(
    session: Session,
    owner: str,
    others: dict[int, outcomes.Outcome],
    uncertain: timedelta | None,
    rest_until: datetime | None,
) -> tuple[int, list[int]]:
    """Store these results one by one; return (final dots, ids of permanent failures)."""
    if not others:
        return 0, []
    found = select(Delivery).where(Delivery.id.in_(others), *_held_by(owner)).order_by(Delivery.id)
    dots, undelivered = 0, []
    for delivery in session.scalars(found.with_for_update()).all():
        outcome = others[delivery.id]
        outcomes.apply_outcome(delivery, outcome, uncertain, rest_until)
        dots += outcome.is_dot_sent and outcome.state not in (None, State.DEFERRED)
        if outcome.state in UNDELIVERED:
            undelivered.append(delivery.id)
    return dots, undelivered


def _give_back(session: Session, owner: str, ids: list[int], due_at: datetime | None) -> None:
    """Give claimed deliveries back, due at a time or at once."""
    answer = {"code": None, "enhanced": None, "phrase": None}
    again = requeued() | answer | ({"due_at": due_at} if due_at else {})
    giving = update(Delivery).where(Delivery.id.in_(ids), *_held_by(owner)).values(again)
    session.execute(giving.execution_options(synchronize_session=False))


def renew_lease(session: Session, owner: str) -> bool:
    """Extend a worker's lease, a sign of life for other hosts; return whether it existed."""
    until = _clock(session) + LEASE
    renewed = update(Lease).where(Lease.owner == owner).values(until=until).returning(Lease.owner)
    if session.scalar(renewed) is not None:
        return True
    session.add(Lease(owner=owner, until=until))
    return False


def is_database_behind(session: Session, made: dict[str, int]) -> bool:
    """Return whether the database lacks transactions that workers are known to have committed.

    Workers without a lease do not count, as others may have replaced them.
    """
    turns = select(Lease.owner, Lease.turn).where(Lease.owner.in_(made), Lease.turn > 0)
    return any(turn < made[owner] for owner, turn in session.execute(turns))


def recover(session: Session, lock: WorkerLock, uncertain: timedelta | None) -> list[str]:
    """Settle the claims of dead or hanging workers, and return their names.

    Their journals tell which messages may have been sent; without a journal, all may have been.
    """
    others = select(Lease).where(Lease.owner != lock.name)
    leases = session.scalars(others.with_for_update(skip_locked=True)).all()
    if not leases:
        return []
    at = _clock(session)
    dead = [each for each in leases if _is_dead(lock.status_of(each.owner), each.until, at)]
    for lease in leases:
        lease.until = min(lease.until, at + FARTHEST_LEASE)
    for each in dead:
        take_over(session, each.owner, lock.entries(each.owner, each.turn), uncertain)
        session.execute(delete(Lease).where(Lease.owner == each.owner))
    return [each.owner for each in dead]


def delete_lease(session: Session, owner: str) -> None:
    """Delete a lease; the owner holds nothing more."""
    session.execute(delete(Lease).where(Lease.owner == owner))


def take_over(
    session: Session, owner: str, marks: dict[int, JournalEntry] | None, uncertain: timedelta | None
) -> None:
    """Settle a dead worker's claims by its journal's marks; without any, all may have been sent."""
    held = _claimed(session, owner)
    ids = list(session.scalars(select(Delivery.id).where(*held).with_for_update()))
    if marks is None:
        marks = dict.fromkeys(ids, JournalEntry.DOT)
    accept(session, owner, [one for one in ids if marks.get(one) == JournalEntry.ACCEPTED])
    lost = [one for one in ids if marks.get(one) == JournalEntry.DOT]
    throttle.count_sent(session, owner, len(lost))
    for delivery_id in lost:
        delivery = session.get_one(Delivery, delivery_id)
        outcomes.apply_outcome(delivery, outcomes.LOST, uncertain)
        delivery.claimed_by = owner
    for delivery_id in [one for one in ids if marks.get(one) == JournalEntry.TAKEN]:
        delivery = session.get_one(Delivery, delivery_id)
        delivery.deaths += 1
        if delivery.deaths >= retry.MAX_DEATHS:
            outcomes.apply_outcome(delivery, outcomes.DEADLY, uncertain)
    session.flush()
    session.execute(update(Delivery).where(*held).values(requeued()))


def release_unknown_claims(session: Session, owner: str, ids: set[int]) -> None:
    """Give back claims that are not among these ids: the reply to their commit was lost."""
    unknown = update(Delivery).where(*_claimed(session, owner), Delivery.id.not_in(ids))
    session.execute(unknown.values(requeued()))


def _claimed(session: Session, owner: str) -> tuple[ColumnElement[bool], ...]:
    """Match an owner's claims: the ids on its lease or, if those are unknown, all with its name."""
    held = _held_by(owner)
    lease = session.get(Lease, owner, populate_existing=True)
    return held if lease is None or lease.held is None else (Delivery.id.in_(lease.ids), *held)


def _held_by(owner: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Delivery.claimed_by == owner, Delivery.state == State.SENDING


def requeued() -> dict[str, object]:
    """Return the values that make a delivery due again, as before it was claimed."""
    before = case(
        (Delivery.lost_at.is_not(None), State.UNCERTAIN),
        (Delivery.attempts > 0, State.DEFERRED),
        else_=State.QUEUED,
    )
    again = {"claimed_by": None, "due_at": now()}
    return {"state": before, "finished_at": Delivery.lost_at, **again}


def _clock(session: Session) -> datetime:
    """Return the database's time if several hosts share it, as their clocks may differ."""
    if session.connection().dialect.name == "sqlite":
        return now()
    return session.scalars(select(func.clock_timestamp(type_=UtcTime()))).one()


def _is_dead(standing: WorkerStatus, lease_until: datetime, at: datetime) -> bool:
    """Return whether a worker is to be replaced; on another host, only its lease tells."""
    is_gone = standing in {WorkerStatus.DEAD, WorkerStatus.STILL}
    return is_gone or (standing is WorkerStatus.UNKNOWN and lease_until < at)


def accept(
    session: Session, owner: str, ids: list[int], *calls: Call, is_last: bool = False
) -> list[list[Any]]:
    """Store acceptances and count them; return the rows of other statements (`run_together`).

    Deliveries that were taken from the owner as uncertain become accepted as well. They are counted
    already; the second query, for these, is rarely needed.
    """
    session.flush()
    connection, said = session.connection(), {"ids": ids, "owner": owner, "at": now()}
    if ids:
        accepting = _ACCEPTING, {**said, "before": State.SENDING}
        calls = (accepting, throttle.counting(connection, owner, len(ids), 0), *calls)
    if not calls:
        return []
    rows, cursors = zip(*run_together(connection, *calls, is_last=is_last), strict=True)
    if ids and (found := cursors[0]).rowcount < len(ids):
        _ACCEPTING.run(connection, {**said, "before": State.UNCERTAIN})
        throttle.count_sent(session, owner, found.rowcount - len(ids))
    return list(rows[2:] if ids else rows)


_ACCEPTING = CompiledStatement(
    update(Delivery)
    .where(
        in_ids(Delivery.id, "ids"),
        Delivery.claimed_by == bindparam("owner"),
        Delivery.state == bindparam("before"),
    )
    .values(
        state=State.ACCEPTED,
        claimed_by=None,
        code=outcomes.ACCEPTED.code,
        enhanced=None,
        phrase=None,
        is_dot_sent=True,
        finished_at=bindparam("at", type_=UtcTime()),
        # An uncertain email that was sent again may have a second copy.
        resent=case(
            (and_(Delivery.lost_at.is_not(None), Delivery.state == State.SENDING), 1),
            else_=Delivery.resent,
        ),
    )
)
