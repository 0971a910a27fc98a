"""Accounts and the groups they lead."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, new_public_id, now
from belong_mail.groups.models import Group


class Account(Base):
    """The account of a lead, or of whoever answers for the office.

    The address is wrapped like a member's.
    """

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    address_index: Mapped[bytes] = mapped_column(unique=True)
    wrapped_address: Mapped[bytes]
    language: Mapped[str] = mapped_column(default="en")
    is_office: Mapped[bool] = mapped_column(default=False)
    """Answers for the office those who have a receipt code, and sees nothing else."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class SignIn(Base):
    """A mailed sign-in link: for ten minutes, for one browser, once."""

    __tablename__ = "sign_ins"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    browser_hash: Mapped[bytes]
    """SHA-256 of what the asking browser keeps in its cookie."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A signed-in browser; it can be ended from here at any time."""

    __tablename__ = "browser_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    started_at: Mapped[datetime] = mapped_column(default=now)


class Leadership(Base):
    """An account's right to write for a group."""

    __tablename__ = "leaderships"

    account_id: Mapped[int] = mapped_column(
        ForeignKey(Account.id, ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[int] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), primary_key=True, index=True
    )
    since: Mapped[datetime] = mapped_column(default=now)
