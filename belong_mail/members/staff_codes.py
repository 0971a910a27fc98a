"""Staff codes: a personal address joins without being stored beside the staff address.

The web requests a code under a random nonce, which stays in the URL of the page that takes the
code. The worker derives the code from group, nonce and hour with a key. Its last characters are a
checksum over the others and the nonce, without a key: so the page finds typing mistakes at once
without knowing whether a code is right.
"""

import hashlib
from datetime import UTC, datetime, time, timedelta

from belong_mail.contact.service import ALPHABET
from belong_mail.core.db import PUBLIC_ID_LENGTH
from belong_mail.core.tokens import BadToken
from belong_mail.groups.models import Group

# Characters derived with the key, and characters of the checksum.
SECRET_LENGTH, CHECK_LENGTH = 10, 2
CODE_LENGTH = SECRET_LENGTH + CHECK_LENGTH


def end_of_day(at: datetime) -> datetime:
    """Return the end of a time's day in UTC. A use counted then does not reveal its hour."""
    day = at.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(day, time(), UTC)


def page_name(group: Group, nonce: str) -> str:
    """Return the signed id of the page that takes a group's code; it is not stored."""
    return group.public_id + nonce


def split_page(name: str) -> tuple[str, str]:
    """Return the group's public id and the nonce of a page's id. Raises BadToken."""
    if len(name) != 2 * PUBLIC_ID_LENGTH:
        raise BadToken
    return name[:PUBLIC_ID_LENGTH], name[PUBLIC_ID_LENGTH:]


def read_code(typed: str) -> str:
    """Normalise a typed code: upper case, without spaces and hyphens."""
    return "".join(each for each in typed.upper() if each.isalnum())


def is_typed_right(code: str, nonce: str) -> bool:
    """Return whether a code has the checksum for this page."""
    secret = code[:SECRET_LENGTH]
    return len(code) == CODE_LENGTH and code == with_check(secret, nonce)


def with_check(secret: str, nonce: str) -> str:
    """Append the checksum, which detects typing mistakes and another page's code."""
    digest = hashlib.sha256(f"{secret}\x00{nonce}".encode()).digest()
    return secret + in_letters(digest, CHECK_LENGTH)


def in_letters(data: bytes, length: int) -> str:
    """Encode bytes in unambiguous letters and digits."""
    number, letters = int.from_bytes(data), ""
    for _each in range(length):
        number, letter = divmod(number, len(ALPHABET))
        letters += ALPHABET[letter]
    return letters
