"""Rate limits: one upsert, shared by all processes, surviving restarts.

The generic cell rate algorithm: a row remembers until when its key's allowance is used up. Over a
limit nothing is refused: the answer is the moment at which the thing may happen.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Float, bindparam, case, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.db import Base
from belong_mail.upserts import inserting


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many again in each period."""

    burst: int
    per: timedelta


class Limit(Base):
    __tablename__ = "limits"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    """A keyed hash of what is limited; it names nobody."""
    used_until: Mapped[float]
    """Seconds since 1970."""


def next_use(used_until: float, rate: Rate, at: float) -> tuple[float, float]:
    """Return when the next use may happen and until when the allowance is then used up."""
    used = max(used_until, at) + rate.per.total_seconds() / rate.burst
    return max(at, used - rate.per.total_seconds()), used


def free_at(session: Session, key: bytes, at: datetime) -> datetime:
    """Return when the allowance of a key that has no burst is whole again."""
    used = session.scalar(select(Limit.used_until).where(Limit.key == key)) or 0.0
    return max(at, datetime.fromtimestamp(used, UTC))


def admit(session: Session, key: bytes, rate: Rate, at: datetime, uses: int = 1) -> datetime:
    """Count uses of a key and return when the last of them may happen: now, or later."""
    start = at.timestamp()
    connection = session.connection()
    said = {"what": key, "start": start, "step": uses * rate.per.total_seconds() / rate.burst}
    used: float = connection.execute(_admitting(connection.dialect.name), said).scalar_one()
    allowed = max(start, used - rate.per.total_seconds())
    return at if allowed == start else datetime.fromtimestamp(allowed, UTC)


@cache
def _admitting(dialect: str) -> Any:
    """Build the statement once, for it is run with every form that is sent."""
    start, step = bindparam("start", type_=Float()), bindparam("step", type_=Float())
    later = case((Limit.used_until > start, Limit.used_until), else_=start)
    first = inserting(dialect)(Limit).values(key=bindparam("what"), used_until=start + step)
    counted = first.on_conflict_do_update(
        index_elements=[Limit.key], set_={"used_until": later + step}
    )
    return counted.returning(Limit.used_until)


def purge(session: Session, at: datetime) -> None:
    """Forget the keys whose allowance is whole again."""
    session.execute(delete(Limit).where(Limit.used_until < at.timestamp()))
