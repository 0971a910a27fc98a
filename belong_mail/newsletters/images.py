"""Adding pictures to a draft, finding and removing them."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.newsletters.image_decoder import EncodedImage
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.newsletters.service import InvalidState, is_draft

# Pictures of one issue.
MAX_IMAGES = 10


def add_image(
    session: Session, issue: Newsletter, description: str, encoded: EncodedImage
) -> Image:
    """Keep a picture for a draft. Raises InvalidState, also when it has as many as it can have."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue) or is_full(session, issue):
        raise InvalidState
    image = Image(
        newsletter_id=issue.id,
        description=description,
        media_type=encoded.media_type,
        content=encoded.content,
        width=encoded.width,
        height=encoded.height,
    )
    session.add(image)
    session.flush()
    return image


def is_full(session: Session, issue: Newsletter) -> bool:
    counted = select(func.count(Image.id)).where(Image.newsletter_id == issue.id)
    return (session.scalar(counted) or 0) >= MAX_IMAGES


def find_image(session: Session, issue: Newsletter, public_id: str) -> Image:
    """Find a picture of the issue, or raise NotFound."""
    found = select(Image).where(Image.public_id == public_id, Image.newsletter_id == issue.id)
    image = session.scalar(found)
    if image is None:
        raise accounts.NotFound
    return image


def remove_image(session: Session, issue: Newsletter, public_id: str) -> None:
    """Take a picture from a draft. Raises InvalidState, NotFound."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue):
        raise InvalidState
    session.delete(find_image(session, issue, public_id))
