"""The newsletters of all groups that are no drafts, for the office; and to tell whose they are."""

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, defer

from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotFound
from belong_mail.core.db import lock_for_change
from belong_mail.core.encryption import Sealer
from belong_mail.delivery import outbox
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter

# The email to a group's leads: the office has done something with a newsletter of theirs.
OFFICE_ACTED = "office-acted"
# Where what it did is sealed.
WHAT_WAS_DONE = "deliveries.sealed_arguments"

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


def tell_leads(session: Session, sealer: Sealer, newsletter: Newsletter, by: Account) -> None:
    """Email the leads of an issue's group, but who did it, what the office has done with it."""
    done = last_action(newsletter)
    for lead in release.other_leads(session, newsletter, by):
        outbox.post(
            session,
            OFFICE_ACTED,
            account_id=lead.id,
            about_id=newsletter.id,
            sealed_arguments=sealer.seal(done.encode(), WHAT_WAS_DONE),
        )


def last_action(newsletter: Newsletter) -> str:
    """Say in a word what was done with an issue the last time, by its own row."""
    if newsletter.stopped_at is not None:
        return "stopped"
    if newsletter.paused_at is not None:
        return "paused"
    if newsletter.resumed_at is not None:
        return "resumed"
    if newsletter.due_at is not None or newsletter.queued_at is not None:
        return "sent"
    return "held" if newsletter.held_at is not None else "canceled"
