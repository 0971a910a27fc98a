"""The verbs that need no address: how many wait, and taking a note back."""

from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.interests.models import Interest
from belong_mail.languages import marked
from belong_mail.tokens import BadToken

KIND = "interest"
KEPT = timedelta(days=365)
ENOUGH = 10


class Warmth(Enum):
    """How many wait for a group, in words: no number, and nobody's coming or going, is told."""

    FEW = marked("A few people want to know when it starts, or nobody yet.")
    ENOUGH = marked("Enough people wait for it to start.")


def warmth(session: Session, group: Group) -> Warmth:
    counted = select(func.count(Interest.id)).where(Interest.group_id == group.id)
    return Warmth.ENOUGH if (session.scalar(counted) or 0) >= ENOUGH else Warmth.FEW


def last_day() -> date:
    """Return until when a note of today is kept."""
    return (now() + KEPT).date()


def noon(day: date) -> datetime:
    """Return a moment of a day, to be said in words."""
    return datetime.combine(day, time(12), UTC)


def look_at(session: Session, public_id: str) -> Interest:
    """Find a note for a page that asks, or raise BadToken."""
    interest = session.scalar(select(Interest).where(Interest.public_id == public_id))
    if interest is None:
        raise BadToken
    return interest


def forget(session: Session, public_id: str) -> None:
    """Delete a note; one that is gone already stays gone."""
    interest = session.scalar(select(Interest).where(Interest.public_id == public_id))
    if interest is not None:
        session.delete(interest)
