"""Meetings, the days on which they are otherwise, and which days members were reminded of."""

from datetime import date, datetime, time

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, new_public_id, now
from belong_mail.groups.models import Group, Words


class Meeting(Base):
    """A group's meeting: once, or by a rule that its first day completes.

    Days and hours are local: four o'clock stays four o'clock when the clocks change.
    """

    __tablename__ = "meetings"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    """Its UID in calendars, for ever."""
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    group: Mapped[Group] = relationship()
    title: Mapped[Words] = mapped_column(JSON, default=dict)
    starts_on: Mapped[date]
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    repeats: Mapped[str] = mapped_column(default="once")
    """A key of `recurrence.RULES`."""
    until: Mapped[date | None]
    exceptions: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Days of the rule without a meeting: ["2026-12-22", …]."""
    place: Mapped[str] = mapped_column(default="")
    link: Mapped[str] = mapped_column(default="")
    contact: Mapped[str] = mapped_column(default="")
    """Whom to ask: a name or an office, never an address."""
    is_open: Mapped[bool] = mapped_column(default=False)
    """Whether anyone may see place, link and contact; else members alone."""
    spoken: Mapped[str] = mapped_column(default="en")
    """A key of `words.SPOKEN`."""
    access: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Keys of `words.ACCESS`."""
    has_families: Mapped[bool] = mapped_column(default=False)
    sequence: Mapped[int] = mapped_column(default=0)
    """How often it was changed (RFC 5545, 3.8.7.4)."""
    changed_at: Mapped[datetime] = mapped_column(default=now)
    cancelled_at: Mapped[datetime | None]
    changes: Mapped[list["MeetingChange"]] = relationship(
        order_by="MeetingChange.day", cascade="all, delete-orphan"
    )


class MeetingChange(Base):
    """One day of a meeting that is cancelled, or held at another time or place."""

    __tablename__ = "meeting_changes"
    __table_args__ = (UniqueConstraint("meeting_id", "day"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    meeting_id: Mapped[int] = mapped_column(ForeignKey(Meeting.id, ondelete="CASCADE"))
    day: Mapped[date]
    """The day by the rule, which names it for ever."""
    is_cancelled: Mapped[bool] = mapped_column(default=False)
    held_on: Mapped[date]
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    place: Mapped[str] = mapped_column(default="")
    link: Mapped[str] = mapped_column(default="")


class Reminder(Base):
    """A day of a meeting of which its members have been reminded, so that nobody is twice."""

    __tablename__ = "reminders"
    __table_args__ = (UniqueConstraint("meeting_id", "held_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    meeting_id: Mapped[int] = mapped_column(ForeignKey(Meeting.id, ondelete="CASCADE"))
    held_on: Mapped[date]
