"""Check and normalise email addresses, and recognize staff addresses."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import idna
from email_validator import EmailNotValidError, validate_email

MAX_LOCAL: Final = 64
# Bytes, RFC 5321 4.5.3.1; a path of 256 includes two brackets.
MAX_ADDRESS: Final = 254
# A mistyped domain is recognized if it is at most this much longer or shorter, and this similar.
MAX_SLIPS, ALIKE = 2, 0.8
# Before the @, RFC 5322 3.2.3 allows what it calls atext, and dots.
_ENVELOPE = re.compile(rf"[!#-'*+./0-9=?A-Z^-~-]{{1,{MAX_LOCAL}}}@(?![.-])[A-Za-z0-9.-]+(?<![.-])")


class InvalidAddress(ValueError):
    """The address cannot be used; the error never quotes it."""


def check(address: str) -> str:
    """Return an address in the only form that we store and send to, or raise InvalidAddress.

    Strips white space and makes the domain a lower-case A-label; keeps the case of the local part
    (RFC 5321 2.4), which must be ASCII: anything else would need SMTPUTF8.
    """
    try:
        valid = validate_email(
            address.strip(" \t\r\n\u00a0"),
            check_deliverability=False,
            allow_smtputf8=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
        )
    except EmailNotValidError:
        raise InvalidAddress("This is not an address we can write to.") from None
    return f"{valid.local_part}@{valid.ascii_domain}"


def check_typed(address: str) -> str:
    """Do as `check`, and refuse what a header could take for an encoded word (RFC 2047)."""
    if "=?" in address:
        raise InvalidAddress("This address could be misread in a header.")
    return check(address)


def check_envelope(address: str) -> None:
    """Raise InvalidAddress if an address must not be put into MAIL or RCPT.

    Trusts no earlier check, and is fast enough to run for every message.
    """
    if len(address) > MAX_ADDRESS or not _ENVELOPE.fullmatch(address):
        raise InvalidAddress("This address cannot stand in an envelope.")


def normalise(address: str) -> str:
    """Return the form in which addresses are compared: equal ones reach the same mailbox.

    Dots stay, as only the receiving domain knows what they mean. Raises InvalidAddress for a domain
    that IDNA cannot encode, and for more than MAX_ADDRESS characters.
    """
    if len(address) > MAX_ADDRESS:
        raise InvalidAddress("This is longer than an address can be.")
    local, _, host = address.strip().rpartition("@")
    try:
        host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        raise InvalidAddress("The domain of this address cannot be written.") from None
    return unicodedata.normalize("NFC", f"{local}@{host}".lower())


def untagged(address: str) -> str:
    """Return an address without its plus tag: probably the same mailbox."""
    local, _, host = address.rpartition("@")
    return f"{local.partition('+')[0] or local}@{host}"


def folded(address: str) -> str:
    """Return the form in which people are compared: normalised, without a plus tag."""
    return untagged(normalise(address))


def sent_as(address: str) -> set[str]:
    """Return the normalised recipients that emails to a mailbox may have: 1.0 kept the plus tag."""
    return {normalise(address), folded(address)}


def domain(address: str) -> str:
    """Return the domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()


def correct_domain(typed: str, domains: Sequence[str]) -> str | None:
    """Return an address with its mistyped domain replaced by the most similar of `domains`.

    Returns None if none is similar, or the domain is one of them.
    """
    local, _, host = typed.strip().rpartition("@")
    host = host.lower()
    # Only the last label is wrong or missing.
    meant = [each for each in domains if each.rpartition(".")[0] in (host, host.rpartition(".")[0])]
    near = [each for each in domains if abs(len(host) - len(each)) <= MAX_SLIPS]
    meant = meant or get_close_matches(host, near, 1, ALIKE)
    if host in domains or not meant:
        return None
    try:
        return check(f"{local}@{meant[0]}")
    except InvalidAddress:
        return None


@dataclass(frozen=True, slots=True)
class Staff:
    """Decides which addresses belong to the district's staff, and may join without a code."""

    domains: tuple[str, ...] = ()
    # Matches local parts that belong to no person, such as those of shared inboxes.
    refused: re.Pattern[str] | None = None

    def admits(self, address: str) -> bool:
        """Return whether an address is a staff member's, in the form that `check` returns."""
        is_staff = _is_in_our_spelling(address) and self.is_ours(address)
        return is_staff and not self.refuses(address)

    def refuses(self, address: str) -> bool:
        """Return whether a mailbox belongs to no person, whatever plus tag the address has."""
        local = untagged(address).rpartition("@")[0]
        return bool(self.refused and self.refused.search(local))

    def is_ours(self, address: str) -> bool:
        """Return whether an address is in the district's domains."""
        return domain(address) in self.domains

    def is_personal(self, address: str) -> bool:
        """Return whether an address is not the district's, in the form that `check` returns."""
        return _is_in_our_spelling(address) and not self.is_ours(address)


def _is_in_our_spelling(address: str) -> bool:
    try:
        return check_typed(address) == address
    except InvalidAddress:
        return False
