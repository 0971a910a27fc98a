"""Values that the worker stores for the office's page, as the web cannot compute them."""

from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import NOW, Base, dialect_insert, now
from belong_mail.inbound import bounces

BACKUP, BREAKER = "backup", "breaker"
KEYS_TRIED = "keys-tried"
# The number of periodic tasks that keep failing; an old value means nothing.
FAILING = "failing"


class Figure(Base):
    """A number or a time for the office; it is about no group and no person."""

    __tablename__ = "figures"

    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    noted_at: Mapped[datetime] = mapped_column(default=now)


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
