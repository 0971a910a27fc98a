"""Codes that prove staff, so that a personal address may join without being stored beside it.

The web asks for a code under a random nonce, which stays in the address of the page that takes the
code. The worker derives the code from group, nonce and hour with a key of its own. The last
characters are a checksum of the others and the nonce, without a key: so the page reports a typing
mistake at once, and reveals nothing about whether a code is right.
"""

import hashlib
from datetime import UTC, datetime, time, timedelta

from belong_mail.contact.service import ALPHABET
from belong_mail.core.db import PUBLIC_ID_LENGTH
from belong_mail.core.tokens import BadToken
from belong_mail.groups.models import Group

# Characters: those derived by the key, and those of the checksum.
SECRET_LENGTH, CHECK_LENGTH = 10, 2
CODE_LENGTH = SECRET_LENGTH + CHECK_LENGTH


def end_of_day(at: datetime) -> datetime:
    """Return when a day ends. A count dated so does not show the hour."""
    day = at.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(day, time(), UTC)


def page_name(group: Group, nonce: str) -> str:
    """Return the name of the page that takes a code for a group; it is not stored."""
    return group.public_id + nonce


def split_page(name: str) -> tuple[str, str]:
    """Return the group's public id and the nonce in a page's name, or raise BadToken."""
    if len(name) != 2 * PUBLIC_ID_LENGTH:
        raise BadToken
    return name[:PUBLIC_ID_LENGTH], name[PUBLIC_ID_LENGTH:]


def read_code(typed: str) -> str:
    """Normalise a typed code: any case and spacing."""
    return "".join(each for each in typed.upper() if each.isalnum())


def is_typed_right(code: str, nonce: str) -> bool:
    """Check a code's checksum for this page, which anyone can compute."""
    secret = code[:SECRET_LENGTH]
    return len(code) == CODE_LENGTH and code == with_check(secret, nonce)


def with_check(secret: str, nonce: str) -> str:
    """Append the checksum, which detects typing mistakes and another page's code."""
    digest = hashlib.sha256(f"{secret}\x00{nonce}".encode()).digest()
    return secret + in_letters(digest, CHECK_LENGTH)


def in_letters(data: bytes, length: int) -> str:
    """Encode bytes in letters and digits that do not look alike."""
    number, letters = int.from_bytes(data), ""
    for _each in range(length):
        number, letter = divmod(number, len(ALPHABET))
        letters += ALPHABET[letter]
    return letters
