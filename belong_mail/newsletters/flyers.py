"""Adding flyers (PDF) to a draft, finding and removing them."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.mail.message.mime import clean_text
from belong_mail.newsletters.flyer_reader import MAX_FILE, CleanFlyer
from belong_mail.newsletters.models import Flyer, Newsletter
from belong_mail.newsletters.service import InvalidState, is_draft

# Flyers of one issue.
MAX_FLYERS: Final = 5
MAX_TITLE: Final = 80


class FlyersTooLarge(InvalidState):
    """The flyers of an issue would have more octets together than one file may."""


def add_flyer(session: Session, issue: Newsletter, title: str, clean: CleanFlyer) -> Flyer:
    """Attach a flyer to a draft. Raises InvalidState, also for too many, and FlyersTooLarge."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue) or is_full(session, issue):
        raise InvalidState
    if len(clean.content) > room(session, issue):
        raise FlyersTooLarge
    flyer = Flyer(
        newsletter_id=issue.id,
        title=clean_text(title),
        content=clean.content,
        size=len(clean.content),
        pages=clean.pages,
        is_tagged=clean.is_tagged,
    )
    session.add(flyer)
    session.flush()
    return flyer


def is_full(session: Session, issue: Newsletter) -> bool:
    counted = select(func.count(Flyer.id)).where(Flyer.newsletter_id == issue.id)
    return (session.scalar(counted) or 0) >= MAX_FLYERS


def room(session: Session, issue: Newsletter) -> int:
    """Return how many octets more the flyers of an issue may have."""
    taken = select(func.sum(Flyer.size)).where(Flyer.newsletter_id == issue.id)
    return MAX_FILE - (session.scalar(taken) or 0)


def find_flyer(session: Session, issue: Newsletter, public_id: str) -> Flyer:
    """Find a flyer of the issue, or raise NotFound."""
    found = select(Flyer).where(Flyer.public_id == public_id, Flyer.newsletter_id == issue.id)
    flyer = session.scalar(found)
    if flyer is None:
        raise accounts.NotFound
    return flyer


def remove_flyer(session: Session, issue: Newsletter, public_id: str) -> None:
    """Take a flyer from a draft. Raises InvalidState, NotFound."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue):
        raise InvalidState
    session.delete(find_flyer(session, issue, public_id))
