"""E-mail addresses: the one spelling we write to, and the identity we compare by."""

import re
import unicodedata
from typing import Final

from email_validator import EmailNotValidError, validate_email

MAX_LOCAL: Final = 64
MAX_DOMAIN: Final = 255
MAX_ADDRESS: Final = 254
"""Octets, RFC 5321 4.5.3.1; a path of 256 holds two brackets."""

_ENVELOPE = re.compile(rf"[!#-'*+./0-9=?A-Z^-~-]{{1,{MAX_LOCAL}}}@(?![.-])[A-Za-z0-9.-]+(?<![.-])")
"""Before the @ stand what RFC 5322 3.2.3 calls atext, and dots."""


class AddressRefused(ValueError):
    """There is no writing to this address, which the error never quotes."""


def check(address: str, *, smtputf8: bool = False) -> str:
    """Return the one spelling we write to, or raise AddressRefused.

    Outer white space goes, the domain becomes a lower-case A-label, the case of the local part
    stays (RFC 5321 2.4). A local part beyond ASCII passes only where the relay offers SMTPUTF8.
    """
    try:
        valid = validate_email(
            address.strip(" \t\r\n\u00a0"),
            check_deliverability=False,
            allow_smtputf8=smtputf8,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
        )
    except EmailNotValidError:
        raise AddressRefused("This is not an address we can write to.") from None
    return _within_limits(f"{unicodedata.normalize('NFC', valid.local_part)}@{valid.ascii_domain}")


def check_envelope(address: str) -> None:
    """Raise AddressRefused for what must not stand between the brackets of MAIL and RCPT.

    Cheap, for every single sending: it mistrusts whatever checked the address before.
    """
    if len(address) > MAX_ADDRESS or not _ENVELOPE.fullmatch(address):
        raise AddressRefused("This address cannot stand in an envelope.")


def normalise(address: str) -> str:
    """Return the identity of an address: two that are equal here reach the same person.

    Dots and plus tags are kept: only the receiving domain knows what they mean.
    """
    local, _, host = address.strip().rpartition("@")
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise AddressRefused("The domain of this address cannot be written.") from None
    return unicodedata.normalize("NFC", f"{local}@{host}".lower())


def domain(address: str) -> str:
    """Return what stands behind the last @, in lower case."""
    return address.rpartition("@")[2].lower()


def _within_limits(address: str) -> str:
    local, _, host = address.encode().rpartition(b"@")
    if len(local) > MAX_LOCAL or len(host) > MAX_DOMAIN or len(local + host) >= MAX_ADDRESS:
        raise AddressRefused("This address is too long.")
    return address
