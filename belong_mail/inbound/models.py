"""Tables of the mailbox for bounces: its last polls, and digests of stored messages."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import IdBase, now


class InboundMailbox(IdBase):
    """When a mailbox was polled, and how often that has failed since it last succeeded."""

    __tablename__ = "inbound_mailboxes"

    # A keyed hash of user, host and folder.
    name: Mapped[bytes] = mapped_column(unique=True)
    first_tried_at: Mapped[datetime] = mapped_column(default=now)
    tried_at: Mapped[datetime] = mapped_column(default=now)
    looked_at: Mapped[datetime | None]
    # Failed polls since the last successful one, and the step of the last failure.
    failures: Mapped[int] = mapped_column(default=0)
    failed_step: Mapped[str] = mapped_column(default="")


class InboundDigest(IdBase):
    """A stored message, so that it is stored only once, whatever its UID."""

    __tablename__ = "inbound_digests"

    # A keyed hash of the message.
    digest: Mapped[bytes] = mapped_column(unique=True)
    seen_at: Mapped[datetime] = mapped_column(default=now, index=True)


NEWEST_POLL = InboundMailbox.looked_at.desc().nulls_last()


def last_polled(session: Session) -> InboundMailbox | None:
    """Return the mailbox with the newest successful poll, or None."""
    return session.scalar(select(InboundMailbox).order_by(NEWEST_POLL).limit(1))
