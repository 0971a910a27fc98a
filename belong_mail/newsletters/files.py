"""Adding pictures and flyers (PDF) to a draft, finding and removing them."""

from dataclasses import asdict
from typing import Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.core.db import required
from belong_mail.mail.message.mime import clean_text
from belong_mail.newsletters.flyer_reader import MAX_FILE, CleanFlyer
from belong_mail.newsletters.image_decoder import EncodedImage
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.newsletters.service import InvalidState, is_draft

File = TypeVar("File", Flyer, Image)
Kind = type[Flyer] | type[Image]
# Files of one issue.
MAX_FILES: Final[dict[Kind, int]] = {Flyer: 5, Image: 10}
MAX_TITLE: Final = 80


class FlyersTooLarge(InvalidState):
    """The flyers of an issue would have more octets together than one file may."""


def add_image(
    session: Session, issue: Newsletter, description: str, encoded: EncodedImage
) -> Image:
    """Keep a picture for a draft. Raises InvalidState, also when it has as many as it can have."""
    _lock(session, issue, Image)
    image = Image(newsletter_id=issue.id, description=description, **asdict(encoded))
    session.add(image)
    session.flush()
    return image


def add_flyer(session: Session, issue: Newsletter, title: str, clean: CleanFlyer) -> Flyer:
    """Attach a flyer to a draft. Raises InvalidState, also for too many, and FlyersTooLarge."""
    _lock(session, issue, Flyer)
    size = len(clean.content)
    if size > room(session, issue):
        raise FlyersTooLarge
    flyer = Flyer(newsletter_id=issue.id, title=clean_text(title), size=size, **asdict(clean))
    session.add(flyer)
    session.flush()
    return flyer


def is_full(session: Session, issue: Newsletter, kind: Kind) -> bool:
    counted = select(func.count(kind.id)).where(kind.newsletter_id == issue.id)
    return (session.scalar(counted) or 0) >= MAX_FILES[kind]


def room(session: Session, issue: Newsletter) -> int:
    """Return how many octets more the flyers of an issue may have."""
    taken = select(func.sum(Flyer.size)).where(Flyer.newsletter_id == issue.id)
    return MAX_FILE - (session.scalar(taken) or 0)


def find(session: Session, issue: Newsletter, kind: type[File], public_id: str) -> File:
    """Find a picture or a flyer of the issue, or raise NotFound."""
    found = select(kind).where(kind.public_id == public_id, kind.newsletter_id == issue.id)
    return required(session.scalar(found), accounts.NotFound)


def remove(session: Session, issue: Newsletter, kind: type[File], public_id: str) -> None:
    """Take a picture or a flyer from a draft. Raises InvalidState, NotFound."""
    _lock(session, issue)
    session.delete(find(session, issue, kind, public_id))


def _lock(session: Session, issue: Newsletter, added: Kind | None = None) -> None:
    """Lock a draft in which there is place for what is added, or raise InvalidState."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue) or (added and is_full(session, issue, added)):
        raise InvalidState
