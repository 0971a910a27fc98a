"""The newsletters of all groups that are no drafts, for the office."""

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, defer

from belong_mail.accounts.service import NotFound
from belong_mail.core.db import lock_for_change
from belong_mail.newsletters.models import Newsletter

# Neither sent nor a draft.
WAITS = and_(
    Newsletter.queued_at.is_(None),
    or_(Newsletter.due_at.is_not(None), Newsletter.held_at.is_not(None)),
)


def open_issues(session: Session) -> list[Newsletter]:
    """List the issues that wait, for their time or for someone's word."""
    paused = and_(Newsletter.paused_at.is_not(None), Newsletter.stopped_at.is_(None))
    found = select(Newsletter).where(or_(WAITS, paused)).options(defer(Newsletter.text))
    return list(session.scalars(found.order_by(Newsletter.due_at, Newsletter.id)))


def queued_issues(session: Session, skip: int, most: int) -> list[Newsletter]:
    """List the issues that were queued, the last one first."""
    found = select(Newsletter).where(Newsletter.queued_at.is_not(None))
    in_turn = found.order_by(Newsletter.queued_at.desc(), Newsletter.id.desc())
    part = in_turn.offset(skip).limit(most)
    return list(session.scalars(part.options(defer(Newsletter.text))))


def find_released(session: Session, public_id: str) -> Newsletter:
    """Find an issue of any group that is no draft, to read or to change; or raise NotFound."""
    is_no_draft = or_(WAITS, Newsletter.queued_at.is_not(None))
    found = select(Newsletter).where(Newsletter.public_id == public_id, is_no_draft)
    newsletter: Newsletter | None = session.scalar(lock_for_change(session, found))
    if newsletter is None:
        raise NotFound
    return newsletter
