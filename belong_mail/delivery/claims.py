"""Claim due deliveries, each by one worker at a time."""

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Integer,
    Select,
    and_,
    bindparam,
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


def claim_next(
    session: Session,
    owner: str,
    members: MemberQuery,
    limit: int,
    *,
    is_free: bool,
) -> tuple[list[int], list[tuple[int, Compose]] | None]:
    """Claim what comes next: due deliveries, else a chunk.

    Returns ids, or a chunk's with functions that write its messages. Deliveries at which workers
    died are claimed if nothing else is (`is_free`): single emails first, copies of issues last.
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
    """Claim single messages of some kinds only."""
    which = or_(*(Delivery.kind == kind for kind in kinds))
    return _claim(session, owner, _due_ids(session, _due(_IS_SINGLE, which), limit))


def claim_poisoned(session: Session, owner: str) -> list[int]:
    """Claim one delivery at which workers died, single messages first."""
    ids = _due_ids(session, _SINGLE_SUSPECT, 1) or _due_ids(session, _SUSPECT, 1)
    return _claim(session, owner, ids)


def claim_chunk(
    session: Session, owner: str, members: MemberQuery, limit: int
) -> list[tuple[int, Compose]] | None:
    """Insert the next chunk's deliveries and claim them; leave them due if they are too many.

    Returns None if there is no chunk. Its members are read only once, when they are inserted.
    """
    connection = session.connection()
    found, _ = _NEXT_CHUNK.run(connection, {})
    if not found:
        return None
    [(chunk_id, newsletter_id, low, high, planned)] = found
    is_small = planned <= limit
    entry = _entry(owner if is_small else None) | {"low": low, "high": high}
    try:
        entry |= members.prepare(session, newsletter_id)
        with session.begin_nested():
            rows = _insert_deliveries(connection, members.chosen, entry)
    except IssuePaused:
        session.execute(update(Chunk).where(Chunk.id == chunk_id).values(inserted=None))
        return []
    except IntegrityError:  # a row that the web wrote repeats a chunk, which has left
        rows = []
    if len(rows) != planned:
        session.execute(update(Chunk).where(Chunk.id == chunk_id).values(inserted=len(rows)))
    return list(members.composers(session, rows)) if is_small else []


def has_at_once(session: Session, members: MemberQuery) -> bool:
    """Return whether `at_once` can claim the next chunk of the same issue; SQLite cannot."""
    return bool(members.prepared) and session.connection().dialect.name != "sqlite"


def at_once(members: MemberQuery, limit: int, lease: dict[str, Any]) -> tuple[Call, Call]:
    """Return statements that claim the next chunk, and that look for other due deliveries.

    The first also writes the lease with these claims, and returns rows for `composers`. It skips a
    chunk that is too large, or of an issue that is not prepared.
    """
    entry = _entry(lease["owner"]) | lease | members.prepared | {"limit": limit}
    return (_take_and_insert(members.chosen), entry), (_LOOKING, {"at": now()})


def _entry(owner: str | None) -> dict[str, Any]:
    """Return what new deliveries have in common: claimed by `owner`, or due without one."""
    state, at = State.QUEUED if owner is None else State.SENDING, now()
    due_at = at if owner is None else None
    return {"state": state.value, "claimed_by": owner, "created_at": at, "due_at": due_at}


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
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    return CompiledStatement(due)


def _waiting(*which: ColumnElement[bool]) -> Select[int]:
    is_due = Delivery.due_at <= bindparam("at", type_=UtcTime())
    is_waiting = or_(*(Delivery.state == state for state in WAITING))
    return select(Delivery.id).where(*which, is_due, is_waiting)


def _insert_deliveries(
    connection: Connection, chosen: ChunkMembers, entry: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """Insert deliveries; return each one's id with the selected columns of its member."""
    if connection.dialect.name != "sqlite":
        return _insert_and_read(chosen).run(connection, entry)[0]
    entering, reading = _insert_then_read(chosen)
    _, entered = entering.run(connection, entry)
    members, _ = reading.run(connection, entry)
    ids = range(entered.lastrowid - entered.rowcount + 1, entered.lastrowid + 1)
    return [(number, *row[1:]) for number, row in zip(ids, members, strict=True)]


@cache
def _take_and_insert(chosen: ChunkMembers) -> CompiledStatement:
    """Build the statement that claims a chunk, inserts its deliveries and writes the lease."""
    following = _next(Chunk.id, Chunk.newsletter_id, Chunk.low, Chunk.high, Chunk.planned)
    chunk = following.cte("following").c
    fits = chunk.newsletter_id == bindparam("newsletter_id"), chunk.planned <= bindparam("limit")
    taken, low, high = (
        select(each).where(*fits).scalar_subquery() for each in (chunk.id, chunk.low, chunk.high)
    )
    members = chosen(low, high).cte("members")
    inserted = select(func.count()).select_from(members).scalar_subquery()
    taking = update(Chunk).where(Chunk.id == taken).values(inserted=inserted).returning(Chunk.id)
    entered, read = _insert_each(members)
    lease = throttle.listing(entered).cte("lease")
    return CompiledStatement(read.add_cte(taking.cte("taking"), lease))


@cache
def _insert_and_read(chosen: ChunkMembers) -> CompiledStatement:
    """Build the statement that inserts a chunk's deliveries and returns them with their members."""
    return CompiledStatement(_insert_each(chosen(*_ENDS).cte("members"))[1])


def _insert_each(members: CTE) -> tuple[CTE, Select[Any]]:
    """Return a CTE that inserts deliveries, and a SELECT of their ids and members."""
    ids = _inserting(members).returning(Delivery.id, Delivery.subscription_id).cte("entered")
    read = select(ids.c.id, *members.c[1:]).join(members, members.c[0] == ids.c.subscription_id)
    return ids, read.order_by(ids.c.id)


@cache
def _insert_then_read(chosen: ChunkMembers) -> tuple[CompiledStatement, CompiledStatement]:
    """Build the same for SQLite, which gives consecutive ids to the rows of one statement."""
    members = chosen(*_ENDS)
    return CompiledStatement(_inserting(members.subquery())), CompiledStatement(members)


def _inserting(members: FromClause) -> Insert:
    entry: dict[Any, Any] = {
        column: bindparam(column.key, type_=column.type)
        for column in (
            Delivery.newsletter_id,
            Delivery.state,
            Delivery.claimed_by,
            Delivery.created_at,
            Delivery.due_at,
        )
    }
    counts = (Delivery.attempts, Delivery.deaths, Delivery.resent)
    entry |= dict.fromkeys(counts, literal(0)) | {Delivery.is_dot_sent: false()}
    entry |= {Delivery.kind: literal("newsletter"), Delivery.subscription_id: members.c[0]}
    rows = select(*entry.values()).order_by(members.c[0])
    return insert(Delivery).from_select(list(entry), rows, include_defaults=False)


def _next(*columns: Any) -> Select[Any]:
    """Select the next chunk that no other worker has locked."""
    is_next = Chunk.inserted.is_(None), Chunk.is_halted.is_(False), ~IS_MARKED
    found = select(*columns).where(*is_next).order_by(Chunk.id).limit(1)
    return found.with_for_update(skip_locked=True)


_ENDS = bindparam("low", type_=Chunk.low.type), bindparam("high", type_=Chunk.high.type)
_NEXT_CHUNK = CompiledStatement(
    update(Chunk)
    .where(Chunk.id == _next(Chunk.id).scalar_subquery())
    .values(inserted=Chunk.planned)
    .returning(Chunk.id, Chunk.newsletter_id, Chunk.low, Chunk.high, Chunk.planned)
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
