"""Jobs: what the web seals for the worker to read."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import Base, now
from belong_mail.core.encryption import Sealer, sealed_for


class Job(Base):
    """Something a visitor asked for, written down by the blind web for the worker to read."""

    __tablename__ = "requests"
    __table_args__ = (
        Index(
            "ix_requests_subscription_id",
            "subscription_id",
            sqlite_where=text("subscription_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # What is wanted; a room's `declarations.py` names who reads each kind.
    kind: Mapped[str]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE")
    )
    sealed: Mapped[bytes | None]
    created_at: Mapped[datetime | None] = mapped_column(default=now, index=True)
    due_at: Mapped[datetime] = mapped_column(default=now, index=True)
    # How often reading it failed; after three it is left for the operator.
    failures: Mapped[int] = mapped_column(default=0)


def seal_job(session: Session, sealer: Sealer, kind: str, said: Any, **columns: Any) -> None:
    """Write down, sealed for one kind of job, what the worker is to do: a dataclass or JSON."""
    sealed = sealer.seal(json.dumps(said, default=asdict).encode(), sealed_for(kind))
    session.add(Job(kind=kind, sealed=sealed, **columns))
