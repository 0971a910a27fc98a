"""Codes that prove staff: so a personal address may join, and the two are never written together.

The web asks for a code under a random nonce, which stays in the address of the page that takes it.
The code follows from group, nonce and hour by a key that only the worker has. Its last characters
follow from the others and the nonce without any key: so the page tells a slip at once, and nothing
about whether a code is right.
"""

import hashlib
from datetime import UTC, datetime, time, timedelta

from belong_mail.contact.service import ALPHABET
from belong_mail.core.db import PUBLIC_ID_LENGTH
from belong_mail.core.tokens import BadToken
from belong_mail.groups.models import Group

# Characters: those that follow from the key, and those that tell a slip.
SECRET_LENGTH, CHECK_LENGTH = 10, 2
CODE_LENGTH = SECRET_LENGTH + CHECK_LENGTH


def end_of_day(at: datetime) -> datetime:
    """Return when a day ends: a count as of then says no hour."""
    day = at.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(day, time(), UTC)


def page_name(group: Group, nonce: str) -> str:
    """Name the page that takes a code for a group. It is stored nowhere."""
    return group.public_id + nonce


def split_page(name: str) -> tuple[str, str]:
    """Return the group's public id and the nonce of such a page, or raise BadToken."""
    if len(name) != 2 * PUBLIC_ID_LENGTH:
        raise BadToken
    return name[:PUBLIC_ID_LENGTH], name[PUBLIC_ID_LENGTH:]


def read_code(typed: str) -> str:
    """Return a code as it was made, typed in any case and spacing."""
    return "".join(each for each in typed.upper() if each.isalnum())


def is_typed_right(code: str, nonce: str) -> bool:
    """Tell whether a code may be the one for this page: everyone can work that out."""
    secret = code[:SECRET_LENGTH]
    return len(code) == CODE_LENGTH and code == with_check(secret, nonce)


def with_check(secret: str, nonce: str) -> str:
    """Add to a code what tells a slip, and another page's code."""
    digest = hashlib.sha256(f"{secret}\x00{nonce}".encode()).digest()
    return secret + in_letters(digest, CHECK_LENGTH)


def in_letters(data: bytes, length: int) -> str:
    """Say a number in letters and digits none of which looks like another."""
    number, letters = int.from_bytes(data), ""
    for _each in range(length):
        number, letter = divmod(number, len(ALPHABET))
        letters += ALPHABET[letter]
    return letters
