"""Claim due deliveries, each by one worker at a time."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from belong_mail.core.db import UtcTime, now
from belong_mail.core.statements import Call, CompiledStatement, any_of
from belong_mail.delivery import throttle
from belong_mail.delivery.dispatcher import ChunkMembers, Compose, IssuePaused, MemberQuery
from belong_mail.delivery.models import HALTED_NEWSLETTERS, IS_MARKED, Chunk, Delivery, State
from belong_mail.delivery.retry import TRANSACTIONAL

WAITING = (State.QUEUED, State.DEFERRED, State.UNCERTAIN)
_LIMIT = bindparam("limit", type_=Integer)


def claim_next(
    session: Session,
    owner: str,
    members: MemberQuery,
    limit: int,
    *,
    is_free: bool,
) -> tuple[list[int], list[tuple[int, Compose]] | None]:
    """Claim what comes next: due deliveries, else a chunk.

    Returns ids, or a chunk's ids with functions that render its messages. A delivery at which
    workers died is claimed only alone (`is_free`): single emails first, copies of issues last.
    """
    due = _kinds_due(session)
    if _SINGLE_SUSPECT in due:
        return (claim_poisoned(session, owner) if is_free else []), None
    if ids := claim_due(session, owner, limit, due):
        return ids, None
    chunk = claim_chunk(session, owner, members, limit)
    if is_free and chunk is None and due:
        return claim_poisoned(session, owner), None
    return [], chunk


def _kinds_due(session: Session) -> set[CompiledStatement]:
    """Return which statements of _ALL_DUE would find rows, by one query."""
    session.flush()
    [flags], _ = _LOOKING.run(session.connection(), {"at": now()})
    return {due for due, is_any in zip(_ALL_DUE, flags, strict=True) if is_any}


def claim_due(
    session: Session, owner: str, limit: int, kinds: set[CompiledStatement] | None = None
) -> list[int]:
    """Claim due deliveries: transactional ones, other single messages, second tries of issues."""
    kinds = _kinds_due(session) if kinds is None else kinds
    ids: list[int] = []
    for due in (_TRANSACTIONAL, _SINGLE, _OF_ISSUES):
        if due in kinds and len(ids) < limit:
            ids += _due_ids(session, due, limit - len(ids))
    return _claim(session, owner, ids)


def claim_single(session: Session, owner: str, limit: int) -> list[int]:
    """Claim single messages only."""
    return claim_due(session, owner, limit, {_TRANSACTIONAL, _SINGLE} & _kinds_due(session))


def claim_kinds(session: Session, owner: str, kinds: tuple[str, ...], limit: int) -> list[int]:
    """Claim single messages, of these kinds only."""
    which = or_(*(Delivery.kind == kind for kind in kinds))
    return _claim(session, owner, _due_ids(session, _due(_IS_SINGLE, which), limit))


def claim_poisoned(session: Session, owner: str) -> list[int]:
    """Claim one delivery at which workers died, single messages first."""
    ids = _due_ids(session, _SINGLE_SUSPECT, 1) or _due_ids(session, _SUSPECT, 1)
    return _claim(session, owner, ids)


def claim_chunk(
    session: Session, owner: str, members: MemberQuery, limit: int
) -> list[tuple[int, Compose]] | None:
    """Claim the first members of the next chunk, at most `limit`; insert their deliveries.

    Returns None if there is no chunk. Members are read only once, when they are inserted.
    """
    connection = session.connection()
    found, _ = _NEXT_CHUNK.run(connection, {})
    if not found:
        return None
    [(chunk_id, newsletter_id, low, high)] = found
    entry = {"owner": owner, "created_at": now(), "limit": limit}
    entry |= {"chunk": chunk_id, "low": low, "high": high}
    try:
        entry |= members.prepare(session, newsletter_id)
        with session.begin_nested():
            rows = _take_members(connection, members.chosen, entry)
    except IssuePaused:
        return []
    except IntegrityError:  # a chunk that the web wrote, of members who have deliveries
        session.execute(update(Chunk).where(Chunk.id == chunk_id).values(inserted=0))
        return []
    return list(members.composers(session, rows))


def has_at_once(session: Session, members: MemberQuery) -> bool:
    """Return whether `at_once` can claim more of the same issue; SQLite cannot."""
    return bool(members.prepared) and session.connection().dialect.name != "sqlite"


def at_once(members: MemberQuery, limit: int, lease: dict[str, Any]) -> tuple[Call, Call]:
    """Return statements that claim from the next chunk, and that look for other due deliveries.

    The first also writes the lease with these claims, returns rows for `composers`, and skips a
    chunk of an issue that is not prepared.
    """
    entry = members.prepared | lease | {"created_at": now(), "limit": limit}
    return (_taking(members.chosen, is_leasing=True), entry), (_LOOKING, {"at": now()})


def _claim(session: Session, owner: str, ids: list[int]) -> list[int]:
    if ids:
        claimed = update(Delivery).where(Delivery.id.in_(ids))
        values = {"claimed_by": owner, "due_at": None, "finished_at": None}
        session.execute(claimed.values(state=State.SENDING, **values))
    return ids


def _due_ids(session: Session, due: CompiledStatement, limit: int) -> list[int]:
    session.flush()
    return [row[0] for row in due.run(session.connection(), {"at": now(), "limit": limit})[0]]


def _due(*which: ColumnElement[bool]) -> CompiledStatement:
    due = (
        _waiting(*which)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    )
    return CompiledStatement(due)


def _waiting(*which: ColumnElement[bool]) -> Select[int]:
    is_due = Delivery.due_at <= bindparam("at", type_=UtcTime())
    is_waiting = or_(*(Delivery.state == state for state in WAITING))
    return select(Delivery.id).where(*which, is_due, is_waiting)


def _take_members(
    connection: Connection, chosen: ChunkMembers, entry: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """Insert deliveries of a chunk's first members; return each id with the member's columns."""
    if connection.dialect.name != "sqlite":
        return _taking(chosen).run(connection, entry)[0]
    entering, reading = _insert_then_read(chosen)
    _, entered = entering.run(connection, entry)
    members, _ = reading.run(connection, entry)
    last = members[-1][0] if members else None
    _MOVING.run(connection, entry | {"last": last, "number": len(members)})
    # SQLite gives consecutive ids to the rows of one statement.
    ids = range(entered.lastrowid - entered.rowcount + 1, entered.lastrowid + 1)
    return [(number, *row[1:]) for number, row in zip(ids, members, strict=True)]


@cache
def _taking(chosen: ChunkMembers, *, is_leasing: bool = False) -> CompiledStatement:
    """Build the statement that claims from the next chunk, for PostgreSQL.

    It inserts deliveries of the chunk's first members, moves the chunk's low end behind them, may
    write the lease, and returns each delivery's id with the member's columns.
    """
    chunk = _next().cte("following").c
    low, high, taken = (
        select(each).where(chunk.newsletter_id == bindparam("newsletter_id")).scalar_subquery()
        for each in (chunk.low, chunk.high, chunk.id)
    )
    members = chosen(low, high).limit(_LIMIT).cte("members")
    last, number = (
        select(each).select_from(members).scalar_subquery()
        for each in (func.max(members.c[0]), func.count())
    )
    moved = _moving(taken, last, number).returning(Chunk.id).cte("moved")
    ids = _inserting(members).returning(Delivery.id, Delivery.subscription_id).cte("entered")
    lease = [throttle.listing(ids).cte("lease")] if is_leasing else []
    read = select(ids.c.id, *members.c[1:]).join(members, members.c[0] == ids.c.subscription_id)
    return CompiledStatement(read.order_by(ids.c.id).add_cte(moved, *lease))


@cache
def _insert_then_read(chosen: ChunkMembers) -> tuple[CompiledStatement, CompiledStatement]:
    """Build the statements that insert deliveries and read their members, for SQLite."""
    low, high = (bindparam(each.key, type_=each.type) for each in (Chunk.low, Chunk.high))
    members = chosen(low, high).limit(_LIMIT)
    return CompiledStatement(_inserting(members.subquery())), CompiledStatement(members)


def _moving(chunk_id: Any, last: Any, number: Any) -> Update:
    """Move a chunk's low end behind the id `last`, after `number` of its members got a delivery.

    Fewer than the limit end the chunk.
    """
    is_over = number < _LIMIT
    low = case((is_over, Chunk.high + 1), else_=last + 1)
    moved = update(Chunk).where(Chunk.id == chunk_id)
    return moved.values(low=low, planned=Chunk.planned - number, inserted=case((is_over, 0)))


def _inserting(members: FromClause) -> Insert:
    given = Delivery.newsletter_id, Delivery.created_at
    entry: dict[Any, Any] = {each: bindparam(each.key, type_=each.type) for each in given}
    entry[Delivery.claimed_by] = bindparam("owner", type_=String())
    counts = (Delivery.attempts, Delivery.deaths, Delivery.resent)
    entry |= dict.fromkeys(counts, literal(0)) | {Delivery.is_dot_sent: false()}
    entry |= {Delivery.kind: literal("newsletter"), Delivery.subscription_id: members.c[0]}
    entry |= {Delivery.state: literal(State.SENDING.value)}
    rows = select(*entry.values()).order_by(members.c[0])
    return insert(Delivery).from_select(list(entry), rows, include_defaults=False)


def _next() -> Select[int, int, int, int]:
    """Select the next chunk that no other worker has locked."""
    is_next = Chunk.inserted.is_(None), Chunk.is_halted.is_(False), ~IS_MARKED
    found = select(Chunk.id, Chunk.newsletter_id, Chunk.low, Chunk.high).where(*is_next)
    return found.order_by(Chunk.id).limit(1).with_for_update(skip_locked=True)


_NEXT_CHUNK = CompiledStatement(_next())
_MOVING = CompiledStatement(
    _moving(*(bindparam(each, type_=Chunk.id.type) for each in ("chunk", "last", "number")))
)


_IS_SINGLE = Delivery.newsletter_id.is_(None)
_IS_TRANSACTIONAL = or_(*(Delivery.kind == kind for kind in TRANSACTIONAL))
_IS_GOING = and_(
    Delivery.newsletter_id.is_not(None), Delivery.newsletter_id.not_in(HALTED_NEWSLETTERS)
)
_WHICH = (
    (_IS_SINGLE, Delivery.deaths == 0, _IS_TRANSACTIONAL),
    (_IS_SINGLE, Delivery.deaths == 0, not_(_IS_TRANSACTIONAL)),
    (_IS_GOING, Delivery.deaths == 0),
    (_IS_SINGLE, Delivery.deaths > 0),
    (_IS_GOING, Delivery.deaths > 0),
)
_ALL_DUE = _TRANSACTIONAL, _SINGLE, _OF_ISSUES, _SINGLE_SUSPECT, _SUSPECT = tuple(
    _due(*which) for which in _WHICH
)
_LOOKING = any_of(*(_waiting(*which).order_by(Delivery.due_at, Delivery.id) for which in _WHICH))
