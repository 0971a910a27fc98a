"""Writing down what became of many deliveries at once, also for a worker that is dead."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, and_, bindparam, case, delete, func, select, update
from sqlalchemy.orm import Session

from belong_mail.db import Direct, UtcTime, among, now
from belong_mail.sending import outcomes, pace
from belong_mail.sending.journal import Mark
from belong_mail.sending.models import LEASE, Delivery, Lease, State
from belong_mail.sending.presence import Presence, Standing

DEADLY = 6
"""Workers that died at a delivery, after which it has failed."""
UNDELIVERED = (State.BOUNCED, State.FAILED)


def settle(
    session: Session,
    owner: str,
    results: Iterable[tuple[int, outcomes.Outcome]],
    uncertain: timedelta | None,
    rest_until: datetime | None,
) -> list[int]:
    """Write down what became of deliveries that an owner holds; what is no longer its stays.

    What was taken from it as uncertain is settled all the same when it was accepted after all.
    Returned are those that will never arrive.
    """
    accepted: list[int] = []
    undelivered: list[int] = []
    dots = 0
    session.flush()
    for delivery_id, outcome in results:
        if outcome is outcomes.ACCEPTED:
            accepted.append(delivery_id)
            continue
        delivery = session.get(Delivery, delivery_id, with_for_update=True)
        if delivery and delivery.state == State.SENDING and delivery.claimed_by == owner:
            outcomes.write(delivery, outcome, uncertain, rest_until)
            dots += outcome.is_dot_sent and outcome.state not in (None, State.DEFERRED)
            if outcome.state in UNDELIVERED:
                undelivered.append(delivery_id)
    if accepted:
        dots += _accept(session, owner, accepted)
    pace.count(session, owner, dots)
    return undelivered


def renew(session: Session, owner: str) -> None:
    """Show that a worker lives, wherever others run."""
    until = _clock(session) + LEASE
    renewed = update(Lease).where(Lease.owner == owner).values(until=until).returning(Lease.owner)
    if session.scalar(renewed) is None:
        session.add(Lease(owner=owner, until=until))


def recover(session: Session, presence: Presence, uncertain: timedelta | None) -> list[str]:
    """Take over what dead workers held and return their names.

    Their journal tells what may have left; without it all that they held may have.
    """
    others = select(Lease).where(Lease.owner != presence.name)
    leases, at = session.scalars(others.with_for_update(skip_locked=True)).all(), _clock(session)
    dead = [each.owner for each in leases if _is_dead(presence.judge(each.owner), each.until, at)]
    for owner in dead:
        take_over(session, owner, presence.marks(owner), uncertain)
        session.execute(delete(Lease).where(Lease.owner == owner))
    return dead


def resign(session: Session, owner: str) -> None:
    """End a lease; the owner holds nothing more."""
    session.execute(delete(Lease).where(Lease.owner == owner))


def take_over(
    session: Session, owner: str, marks: dict[int, Mark] | None, uncertain: timedelta | None
) -> None:
    """Settle what a dead worker held by its journal's marks; None: all of it may have left."""
    held = _held(session, owner)
    ids = list(session.scalars(select(Delivery.id).where(*held).with_for_update()))
    if marks is None:
        marks = dict.fromkeys(ids, Mark.DOT)
    accepted = [(one, outcomes.ACCEPTED) for one in ids if marks.get(one) == Mark.ACCEPTED]
    settle(session, owner, accepted, uncertain, None)
    lost = [one for one in ids if marks.get(one) == Mark.DOT]
    pace.count(session, owner, len(lost))
    for delivery_id in lost:
        delivery = session.get_one(Delivery, delivery_id)
        outcomes.write(delivery, outcomes.LOST, uncertain)
        delivery.claimed_by = owner
    for delivery_id in [one for one in ids if marks.get(one) == Mark.TAKEN]:
        delivery = session.get_one(Delivery, delivery_id)
        delivery.deaths += 1
        if delivery.deaths >= DEADLY:
            outcomes.write(delivery, outcomes.DEADLY, uncertain)
    session.flush()
    session.execute(update(Delivery).where(*held).values(given_back()))


def give_back_all_but(session: Session, owner: str, ids: set[int]) -> None:
    """Give back what an owner holds without knowing it: a commit whose answer was lost."""
    unknown = update(Delivery).where(*_held(session, owner), Delivery.id.not_in(ids))
    session.execute(unknown.values(given_back()))


def _held(session: Session, owner: str) -> tuple[ColumnElement[bool], ...]:
    """Select what an owner holds: some of what stands on its lease, or else of everything."""
    held = Delivery.claimed_by == owner, Delivery.state == State.SENDING
    lease = session.get(Lease, owner, populate_existing=True)
    return held if lease is None or lease.held is None else (Delivery.id.in_(lease.ids), *held)


def given_back() -> dict[str, object]:
    """Return the values of a delivery that is due again, as it was before it was claimed."""
    before = case(
        (Delivery.lost_at.is_not(None), State.UNCERTAIN),
        (Delivery.attempts > 0, State.DEFERRED),
        else_=State.QUEUED,
    )
    again = {"claimed_by": None, "due_at": now()}
    return {"state": before, "finished_at": Delivery.lost_at, **again}


def _clock(session: Session) -> datetime:
    """Return the time of the database, where several hosts share one: theirs may differ."""
    if session.connection().dialect.name == "sqlite":
        return now()
    return session.scalars(select(func.clock_timestamp(type_=UtcTime()))).one()


def _is_dead(standing: Standing, lease_until: datetime, at: datetime) -> bool:
    return standing is Standing.DEAD or (standing is Standing.UNKNOWN and lease_until < at)


def _accept(session: Session, owner: str, ids: list[int]) -> int:
    """Write acceptances; return how many dots that are: what was taken from the owner was counted.

    A second look, at that, is rarely needed.
    """
    connection, said = session.connection(), {"ids": ids, "owner": owner, "at": now()}
    _, found = _ACCEPTING.run(connection, {**said, "before": State.SENDING})
    if found.rowcount < len(ids):
        _ACCEPTING.run(connection, {**said, "before": State.UNCERTAIN})
    return int(found.rowcount)


def _accepting() -> Update:
    accepting = update(Delivery).where(
        among(Delivery.id, "ids"),
        Delivery.claimed_by == bindparam("owner"),
        Delivery.state == bindparam("before"),
    )
    is_second = and_(Delivery.lost_at.is_not(None), Delivery.state == State.SENDING)
    return accepting.values(
        state=State.ACCEPTED,
        claimed_by=None,
        code=outcomes.ACCEPTED.code,
        enhanced=None,
        phrase=None,
        is_dot_sent=True,
        finished_at=bindparam("at", type_=UtcTime()),
        resent=case((is_second, 1), else_=Delivery.resent),
    )


_ACCEPTING = Direct(_accepting())
