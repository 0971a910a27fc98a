"""Encode a delivery in its return path (VERP) and its Message-ID, so that bounces name it."""

import base64
import hashlib
import hmac
import re

from belong_mail.core import encryption
from belong_mail.core.encryption import BlockCipher

# Bytes of a delivery's id.
ID_OCTETS = 6
# Bytes of a check value: zeros in an encrypted block, a hash of the recipient, or a MAC.
TAG_OCTETS = 10
# Bytes of a membership's public id.
PUBLIC_ID_OCTETS = 16
_RETURN_PATH, _MESSAGE = "return-path", "message-id"
_UNUSED = bytes(TAG_OCTETS)
_LEAVE = b"belong/leave/v1"
_PREFIX = "b+"
_MESSAGE_ID = re.compile(rf"(?<![\w+.-])b\.([0-9a-f]{{{2 * (ID_OCTETS + TAG_OCTETS)}}})@")


class VerpAddresses:
    """Makes and reads addresses and Message-IDs of ours, under secret keys.

    The local parts are lower-case hexadecimal, at most 64 bytes, and safe under case-folding (RFC
    5321, 4.5.3.1.1). They reveal no recipient or group. Return paths use the web's secret keys, so
    that the inbound pipe can refuse forged ones. Message-IDs use the worker's key and include the
    recipient: so a report about a recipient is believed only if we wrote to it, whatever the rows
    say.
    """

    def __init__(
        self, secret_keys: tuple[str, ...], domain: str, message_key: bytes | None = None
    ) -> None:
        """Take the secret keys, oldest first: the last one encodes, all decode.

        Without the worker's key, Message-IDs are neither made nor read.
        """
        self._tags = [encryption.hmac_signer(key.encode()) for key in secret_keys]
        self._paths = [BlockCipher(key.encode(), _RETURN_PATH) for key in secret_keys]
        self._messages = BlockCipher(message_key, _MESSAGE) if message_key else None
        self._domain = domain

    def return_path(self, delivery_id: int) -> str:
        made = self._paths[-1].close(delivery_id.to_bytes(ID_OCTETS) + _UNUSED)
        return f"{_PREFIX}{made.hex()}@{self._domain}"

    def message_id(self, delivery_id: int, recipient: str) -> str:
        """Return a delivery's Message-ID, the same for every try (RFC 5322, 3.6.4).

        The recipient is normalised. Raises ValueError without the worker's key.
        """
        if self._messages is None:
            raise ValueError("Only the worker names messages.")
        made = self._messages.close(delivery_id.to_bytes(ID_OCTETS) + _hash(recipient))
        return f"<b.{made.hex()}@{self._domain}>"

    def leave_address(self, public_id: str) -> str:
        """Return the address that ends a membership when it gets an email, from anyone.

        It looks like a return path, and is routed as one. It encodes the membership, because the
        delivery is deleted sooner.
        """
        name = base64.urlsafe_b64decode(f"{public_id}==")
        return (
            f"{_PREFIX}{(name + self._tags[-1](_LEAVE + name)[:TAG_OCTETS]).hex()}@{self._domain}"
        )

    def list_id(self, label: bytes) -> str:
        """Return a group's List-Id (RFC 2919) from its label (`BlindIndex.list_label`)."""
        return f"{base64.b32encode(label).decode().lower()}.belong.{self._domain}"

    def has_form(self, address: str) -> bool:
        """Return whether an address looks like one of our return paths, even a forged one."""
        return address.lower().startswith(_PREFIX)

    def is_ours(self, address: str) -> bool:
        """Return whether we made this return path or leave address."""
        return self.read(address) is not None or self.read_leave_address(address) is not None

    def read(self, return_path: str) -> int | None:
        """Return the delivery id in a return path, or None if we did not make it."""
        made = _octets(return_path, ID_OCTETS + TAG_OCTETS)
        opened = [path.open(made) for path in self._paths] if made else []
        return next((_number(each) for each in opened if each.endswith(_UNUSED)), None)

    def read_leave_address(self, address: str) -> str | None:
        """Return the membership's public id in a leave address, or None if it is not ours."""
        made = _octets(address, PUBLIC_ID_OCTETS + TAG_OCTETS)
        name, tag = made[:PUBLIC_ID_OCTETS], made[PUBLIC_ID_OCTETS:]
        if not any(hmac.compare_digest(tag, of(_LEAVE + name)[:TAG_OCTETS]) for of in self._tags):
            return None
        return base64.urlsafe_b64encode(name).decode().rstrip("=")

    def read_message_id(self, name: str, recipient: str) -> int | None:
        """Return the delivery id in a Message-ID, if it was made for this normalised recipient."""
        opened = self._opened(name)
        return _number(opened) if opened.endswith(_hash(recipient)) else None

    def number_in(self, name: str) -> int:
        """Return the delivery id in a Message-ID, unchecked; it is random if we did not make it."""
        return _number(self._opened(name))

    def _opened(self, name: str) -> bytes:
        return self._messages.open(bytes.fromhex(name)) if self._messages else b""


def _hash(recipient: str) -> bytes:
    return hashlib.blake2b(recipient.encode(), digest_size=TAG_OCTETS).digest()


def _number(block: bytes) -> int:
    return int.from_bytes(block[:ID_OCTETS])


def _octets(address: str, number: int) -> bytes:
    """Return the bytes of an address of ours, if there are so many; otherwise b""."""
    local = address.lower().partition("@")[0].removeprefix(_PREFIX)
    return bytes.fromhex(local) if re.fullmatch(f"[0-9a-f]{{{2 * number}}}", local) else b""


def message_names(text: str) -> list[str]:
    """Find Message-IDs in a text that look like ours; return their hexadecimal parts."""
    return _MESSAGE_ID.findall(text.lower())
