"""Tables of meetings, their changed days, and sent reminders."""

from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.core.db import (
    Checked,
    IdBase,
    PublicIdBase,
    TextByLanguage,
    TextList,
    now,
    text_list,
)
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.groups.models import Group


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _days(value: Any) -> list[str]:
    """Return the days of a list, each as YYYY-MM-DD."""
    return [each for each in text_list(value) if _is_day(each)]


class Meeting(PublicIdBase):
    """A group's meeting: one day, or a series by a rule and its first day.

    Dates and times are local, so 4:00 PM stays 4:00 PM when the clocks change.
    """

    __tablename__ = "meetings"

    # The public id is its permanent UID in calendars.
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    group: Mapped[Group] = relationship()
    title: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    starts_on: Mapped[date]
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    # A key of `recurrence.RULES`.
    repeats: Mapped[str] = mapped_column(default="once")
    until: Mapped[date | None]
    # Days of the series without a meeting, in ISO 8601: ["2026-12-22", …].
    exceptions: Mapped[list[str]] = mapped_column(Checked(_days), default=list)
    place: Mapped[str] = mapped_column(default="")
    link: Mapped[str] = mapped_column(default="")
    # The person to ask: a name or an office, never an address.
    contact: Mapped[str] = mapped_column(default="")
    # Whether anyone may see location, link and contact; otherwise only members.
    is_open: Mapped[bool] = mapped_column(default=False)
    # A key of `formatting.SPOKEN`.
    spoken: Mapped[str] = mapped_column(default=DEFAULT)
    # Keys of `formatting.ACCESS`.
    access: Mapped[list[str]] = mapped_column(TextList, default=list)
    has_families: Mapped[bool] = mapped_column(default=False)
    # Number of changes, SEQUENCE in calendars (RFC 5545, 3.8.7.4).
    sequence: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(default=now)
    cancelled_at: Mapped[datetime | None]
    changes: Mapped[list["MeetingChange"]] = relationship(
        order_by="MeetingChange.day", cascade="all, delete-orphan"
    )


class MeetingChange(IdBase):
    """A day of a meeting that is canceled or moved to another date, time or place."""

    __tablename__ = "meeting_changes"
    __table_args__ = (UniqueConstraint("meeting_id", "day"),)

    meeting_id: Mapped[int] = mapped_column(ForeignKey(Meeting.id, ondelete="CASCADE"))
    # The day by the rule, which identifies it (RECURRENCE-ID).
    day: Mapped[date]
    is_cancelled: Mapped[bool] = mapped_column(default=False)
    held_on: Mapped[date]
    starts_at: Mapped[time]
    ends_at: Mapped[time]
    place: Mapped[str] = mapped_column(default="")
    link: Mapped[str] = mapped_column(default="")


class Reminder(IdBase):
    """A day of a meeting for which reminders were sent, so that no one is reminded twice."""

    __tablename__ = "reminders"
    __table_args__ = (UniqueConstraint("meeting_id", "held_on"),)

    meeting_id: Mapped[int] = mapped_column(ForeignKey(Meeting.id, ondelete="CASCADE"))
    held_on: Mapped[date]
