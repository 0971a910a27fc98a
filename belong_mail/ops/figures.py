"""Values that the worker stores for the office's page, as the web cannot compute them."""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import NOW, Base, ago, dialect_insert, now
from belong_mail.delivery.models import Suppression
from belong_mail.inbound import bounces
from belong_mail.members.counts import steady

BACKUP, SUPPRESSED, COUNTED, BREAKER = "backup", "suppressed/", "counted", "breaker"
KEYS_TRIED = "keys-tried"
# The number of periodic tasks that keep failing; an old value means nothing.
FAILING = "failing"
# Between two counts of suppressions.
COUNT_EVERY = timedelta(hours=1)


class Figure(Base):
    """A rounded number or a time for the office; it is about no group and no person."""

    __tablename__ = "figures"

    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    noted_at: Mapped[datetime] = mapped_column(default=now)


_SUPPRESSED = select(Figure.name, Figure.number).where(Figure.name.startswith(SUPPRESSED))


def note(session: Session, name: str, number: int = 0, at: datetime | None = None) -> None:
    """Store a value in place of an older one, even while another worker does so."""
    insert = dialect_insert(session.connection().dialect.name)
    noted = insert(Figure).values(name=name, number=number, noted_at=at or now())
    newer = {"number": noted.excluded.number, "noted_at": noted.excluded.noted_at}
    session.execute(noted.on_conflict_do_update(index_elements=[Figure.name], set_=newer))


def noted_at(session: Session, name: str) -> datetime | None:
    return session.scalar(select(Figure.noted_at).where(Figure.name == name))


# Whether the circuit breaker is open, or was when that was last stored.
IS_BREAKER_OPEN = bounces.IS_OPEN | exists().where(Figure.name == BREAKER, Figure.noted_at > NOW)


def note_breaker(session: Session) -> None:
    """Store until when the circuit breaker ignores reports of unknown addresses."""
    note(session, BREAKER, at=bounces.breaker_until(session, now()))


def breaker_until(session: Session) -> datetime | None:
    """Return the time that `note_breaker` stored, or None if it is not open."""
    until = noted_at(session, BREAKER)
    return until if until is not None and until > now() else None


# Whether the last count is an hour old, or of a clock that was ahead.
IS_COUNT_OLD = ~exists().where(
    Figure.name == COUNTED, Figure.noted_at.between(ago(COUNT_EVERY), NOW)
)


def count_suppressions(session: Session) -> None:
    """Count suppressions by reason and month, rounded to tens.

    A number changes only when it is off by ten, so that no single suppression can be seen.
    """
    note(session, COUNTED)
    counts = Counter[str]()
    by_day = select(Suppression.reason, Suppression.since, func.count())
    for reason, since, number in session.execute(by_day.group_by("reason", "since")):
        counts[f"{SUPPRESSED}{reason}/{since:%Y-%m}"] += number
    told = dict(session.execute(_SUPPRESSED).all())
    for name, number in counts.items():
        note(session, name, steady(number, told.get(name, 0)))
    gone = set(told) - set(counts)
    session.execute(delete(Figure).where(Figure.name.in_(gone)))


def suppressions(session: Session) -> list[tuple[str, datetime, int]]:
    """Return (reason, month, rounded number), newest month first; 0 means fewer than ten."""
    found = []
    for name, number in session.execute(_SUPPRESSED):
        _, reason, month = name.split("/")
        found.append((reason, datetime.strptime(f"{month} +0000", "%Y-%m %z"), number))
    return sorted(found, key=lambda each: (each[1], each[0]), reverse=True)
