"""Adding pictures to a draft, finding and removing them."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.newsletters.service import NotNow, is_draft
from belong_mail.pictures.encoding import Encoded

MOST = 10
"""Pictures of one issue."""


def add(session: Session, issue: Newsletter, description: str, encoded: Encoded) -> Image:
    """Keep a picture for a draft. Raises NotNow, also when it has as many as it can have."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue) or is_full(session, issue):
        raise NotNow
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
    return (session.scalar(counted) or 0) >= MOST


def find(session: Session, issue: Newsletter, public_id: str) -> Image:
    """Find a picture of the issue, or raise NotYours."""
    found = select(Image).where(Image.public_id == public_id, Image.newsletter_id == issue.id)
    image = session.scalar(found)
    if image is None:
        raise accounts.NotYours
    return image


def remove(session: Session, issue: Newsletter, public_id: str) -> None:
    """Take a picture from a draft. Raises NotNow, NotYours."""
    session.refresh(issue, with_for_update=True)
    if not is_draft(issue):
        raise NotNow
    session.delete(find(session, issue, public_id))
