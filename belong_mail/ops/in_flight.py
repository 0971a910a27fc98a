"""Say what was in flight when a database was copied: it would be sent again."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, State
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter


def single_mails(session: Session) -> dict[str, int]:
    """Count single messages that would be sent, by kind."""
    of_kind = select(Delivery.kind, func.count()).where(
        Delivery.newsletter_id.is_(None), _would_leave()
    )
    found = session.execute(of_kind.group_by(Delivery.kind).order_by(Delivery.kind))
    return dict(row.tuple() for row in found)


def issues(session: Session) -> dict[str, Counter[str]]:
    """Count the copies of each issue that would be sent, by state; paused issues too."""
    counts: dict[int, Counter[str]] = {}
    copies = select(Delivery.newsletter_id, Delivery.state, func.count()).where(
        Delivery.newsletter_id.is_not(None),
        or_(_would_leave(), Delivery.state.in_((State.QUEUED, State.DEFERRED))),
    )
    stretches = select(Chunk.newsletter_id, func.sum(Chunk.planned)).where(Chunk.inserted.is_(None))
    found = session.execute(copies.group_by(Delivery.newsletter_id, Delivery.state)).all()
    planned = session.execute(stretches.group_by(Chunk.newsletter_id)).all()
    unplanned = select(Newsletter.id).where(Newsletter.planned_to.is_not(None))
    for number in session.scalars(unplanned):
        counts[number] = Counter()
    for issue, state, number in (*found, *((issue, State.QUEUED, n) for issue, n in planned)):
        counts.setdefault(issue or 0, Counter())[str(state)] += number
    names = select(Newsletter.id, Newsletter.public_id).where(Newsletter.id.in_(counts))
    return {name: counts[issue] for issue, name in session.execute(names.order_by(Newsletter.id))}


def uncertain(session: Session, uncertain: timedelta | None) -> int:
    """Take copies that were on their way for uncertain, and pause their issues; count the issues.

    They may have left since the database was copied. Once a lead lets an issue go on, they are sent
    once more as BELONG_UNCERTAIN says, and what had not been begun is sent.
    """
    at, number = now(), 0
    again = None if uncertain is None else at + uncertain
    for public_id in issues(session):
        issue = session.scalars(select(Newsletter).where(Newsletter.public_id == public_id)).one()
        theirs = Delivery.newsletter_id == issue.id, Delivery.state.in_(UNFINISHED)
        doubtful = {"state": State.UNCERTAIN, "lost_at": at, "finished_at": at, "due_at": again}
        session.execute(update(Delivery).where(*theirs).values({**doubtful, "claimed_by": None}))
        if issue.paused_at is None and issue.stopped_at is None:
            release.act(session, issue, release.pause)
            number += 1
    return number


def _would_leave() -> ColumnElement[bool]:
    waits = and_(
        Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN)),
        Delivery.due_at.is_not(None),
    )
    return or_(waits, Delivery.state == State.SENDING)
