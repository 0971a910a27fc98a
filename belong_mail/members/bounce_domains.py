"""Name the domain of a member's address, for what bounces count by domain: the worker's alone."""

from contextlib import suppress

from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.mail.address import InvalidAddress, domain, normalise
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import open_address


def domain_name(keyring: Keyring, member: Subscription | None) -> bytes:
    """Return a keyed hash of the domain; b"" where there is no address that opens."""
    with suppress(DecryptionError, InvalidAddress):
        if member is not None:
            return keyring.index.domain(domain(normalise(open_address(keyring, member)[0])))
    return b""
