"""Add, find and remove an issue's pictures and flyers (PDF); attach flyers."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, object_session

from belong_mail.accounts import service as accounts
from belong_mail.mail.message.mime import AttachedFile, clean_text
from belong_mail.newsletters.confinement import MAX_FILE, CleanFlyer, EncodedImage
from belong_mail.newsletters.models import Flyer, Image, Newsletter

Kind = type[Flyer] | type[Image]
# Files of one issue.
MAX_FILES: Final[dict[Kind, int]] = {Flyer: 5, Image: 10}
# Most characters of a flyer's title, and of a picture's description.
MAX_TITLE: Final = 80
MAX_DESCRIPTION: Final = 300
# File name for a title without ASCII letters and digits.
NAMELESS: Final = "flyer"
# Bytes of a MIME part besides its content, at most.
HEAD: Final = 1500
NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")


def add_image(
    session: Session, issue: Newsletter, description: str, encoded: EncodedImage
) -> Image:
    """Store a picture for a draft."""
    image = Image(newsletter_id=issue.id, description=description, **asdict(encoded))
    session.add(image)
    session.flush()
    return image


def add_flyer(session: Session, issue: Newsletter, title: str, clean: CleanFlyer) -> Flyer:
    """Attach a flyer to a draft."""
    size = len(clean.content)
    flyer = Flyer(newsletter_id=issue.id, title=clean_text(title), size=size, **asdict(clean))
    session.add(flyer)
    session.flush()
    return flyer


def is_full(issue: Newsletter, kind: Kind) -> bool:
    kept: Sequence[Flyer | Image] = issue.flyers if kind is Flyer else issue.images
    return len(kept) >= MAX_FILES[kind]


def are_few(issue: Newsletter) -> bool:
    """Return whether the number of an issue's files and the length of their names are allowed.

    An intruder in the web could write any rows, so none is loaded here.
    """
    session = object_session(issue)
    if session is None:
        return True
    named = (Flyer, Flyer.title, MAX_TITLE), (Image, Image.description, MAX_DESCRIPTION)
    too_much = (
        select(or_(func.count(kind.id) > MAX_FILES[kind], func.max(func.length(name)) > longest))
        .where(kind.newsletter_id == issue.id)
        .scalar_subquery()
        for kind, name, longest in named
    )
    return not session.scalar(select(or_(*too_much)))


def room(issue: Newsletter) -> int:
    """Return how many more bytes of flyers an issue may have."""
    return MAX_FILE - sum(flyer.size for flyer in issue.flyers)


def find(issue: Newsletter, picture_id: str = "", flyer_id: str = "") -> Image | Flyer:
    """Find a picture, or else a flyer, of the issue. Raises NotFound."""
    kept: Sequence[Image | Flyer] = issue.images if picture_id else issue.flyers
    for each in kept:
        if each.public_id == (picture_id or flyer_id):
            return each
    raise accounts.NotFound


def shown(file: Image | Flyer) -> tuple[bytes, dict[str, str]]:
    """Return a picture, or a flyer as it is sent, with the headers of a response."""
    if isinstance(file, Image):
        return file.content, {"Content-Type": file.media_type}
    [mailed] = attached([file])
    return mailed.content, {
        "Content-Type": mailed.media_type,
        # To be downloaded; a browser that opens it anyway may run nothing in it.
        "Content-Disposition": f"attachment; filename={mailed.name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def remove(issue: Newsletter, public_id: str) -> None:
    """Remove a picture or a flyer from a draft, unless it is gone already."""
    issue.images = [each for each in issue.images if each.public_id != public_id]
    issue.flyers = [each for each in issue.flyers if each.public_id != public_id]


def octets(flyer: Flyer) -> int:
    """Return a flyer's bytes in a message: in base64, on lines of 76 (RFC 2045 6.8)."""
    return flyer.size * 78 // 57 + HEAD


def file_name(title: str) -> str:
    """Make a file name of a title, in letters, digits and hyphens only."""
    parts = unicodedata.normalize("NFKD", title)
    bare = "".join(each for each in parts if not unicodedata.combining(each))
    return NOT_IN_NAMES.sub("-", bare).strip("-") or NAMELESS


def attached(flyers: Sequence[Flyer]) -> list[AttachedFile]:
    """Return flyers as attachments; a repeated name gets a number."""
    files, used = list[AttachedFile](), dict[str, int]()
    for flyer in flyers:
        name = file_name(flyer.title)
        used[name.lower()] = number = used.get(name.lower(), 0) + 1
        again = f"-{number}" if number > 1 else ""
        files.append(AttachedFile(f"{name}{again}.pdf", "application/pdf", flyer.content))
    return files
