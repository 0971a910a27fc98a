"""Name a delivery on the wire: its return path (VERP) and its Message-ID."""

import base64
import hashlib
import hmac
import re

from belong_mail.core import encryption
from belong_mail.core.encryption import BlockCipher

# Bytes of a delivery's id.
ID_OCTETS = 6
# Bytes that make a name unforgeable: in a block they are zeros, or a hash of the recipient.
TAG_OCTETS = 10
# Bytes of a membership's public id.
PUBLIC_ID_OCTETS = 16
_RETURN_PATH, _MESSAGE = "return-path", "message-id"
_UNUSED = bytes(TAG_OCTETS)
_LEAVE = b"belong/leave/v1"
_PREFIX = "b+"
_MESSAGE_ID = re.compile(rf"(?<![\w+.-])b\.([0-9a-f]{{{2 * (ID_OCTETS + TAG_OCTETS)}}})@")


class VerpAddresses:
    """Names deliveries; only the holder of the keys can make or read a name.

    The local parts are lower-case hexadecimal, at most 64 bytes, and safe under case-folding (RFC
    5321, 4.5.3.1.1). They tell nothing about recipient or group. Return paths are made with the
    secret keys, so that the pipe can refuse forged ones. Message-IDs are made with the worker's
    key, for the delivery and the recipient that was written to: no row decides whom a report may
    name.
    """

    def __init__(
        self, secret_keys: tuple[str, ...], domain: str, message_key: bytes | None = None
    ) -> None:
        """Take the secret keys, oldest first: the newest makes names, all of them read.

        Without the worker's key no Message-ID is made or read.
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
        """Return the address at which an email ends a membership, whoever sends it.

        It looks like a return path, so that it reaches us the same way. It names the membership,
        because the delivery is deleted sooner.
        """
        name = base64.urlsafe_b64decode(f"{public_id}==")
        return (
            f"{_PREFIX}{(name + self._tags[-1](_LEAVE + name)[:TAG_OCTETS]).hex()}@{self._domain}"
        )

    def list_id(self, label: bytes) -> str:
        """Return a group's List-Id (RFC 2919) from its label (`BlindIndex.list_label`)."""
        return f"{base64.b32encode(label).decode().lower()}.belong.{self._domain}"

    def has_form(self, address: str) -> bool:
        """Return whether an address looks like a return path of ours, whoever made it."""
        return address.lower().startswith(_PREFIX)

    def is_ours(self, address: str) -> bool:
        """Return whether we made an address, whatever it is for."""
        return self.read(address) is not None or self.read_leave_address(address) is not None

    def read(self, return_path: str) -> int | None:
        """Return the delivery that a return path names, or None if we did not make it."""
        made = _octets(return_path, ID_OCTETS + TAG_OCTETS)
        opened = [path.open(made) for path in self._paths] if made else []
        return next((_number(each) for each in opened if each.endswith(_UNUSED)), None)

    def read_leave_address(self, address: str) -> str | None:
        """Return the public id of the membership that an email to an address ends, if any."""
        made = _octets(address, PUBLIC_ID_OCTETS + TAG_OCTETS)
        name, tag = made[:PUBLIC_ID_OCTETS], made[PUBLIC_ID_OCTETS:]
        if not any(hmac.compare_digest(tag, of(_LEAVE + name)[:TAG_OCTETS]) for of in self._tags):
            return None
        return base64.urlsafe_b64encode(name).decode().rstrip("=")

    def read_message_id(self, name: str, recipient: str) -> int | None:
        """Return the delivery that a Message-ID names, if it went to this normalised recipient."""
        opened = self._opened(name)
        return _number(opened) if opened.endswith(_hash(recipient)) else None

    def number_in(self, name: str) -> int:
        """Return the delivery that a Message-ID would name, if we made it."""
        return _number(self._opened(name))

    def _opened(self, name: str) -> bytes:
        return self._messages.open(bytes.fromhex(name)) if self._messages else b""


def _hash(recipient: str) -> bytes:
    return hashlib.blake2b(recipient.encode(), digest_size=TAG_OCTETS).digest()


def _number(block: bytes) -> int:
    return int.from_bytes(block[:ID_OCTETS])


def _octets(address: str, number: int) -> bytes:
    """Return the bytes that an address of ours spells, so many; b"" for any other address."""
    local = address.lower().partition("@")[0].removeprefix(_PREFIX)
    return bytes.fromhex(local) if re.fullmatch(f"[0-9a-f]{{{2 * number}}}", local) else b""


def message_names(text: str) -> list[str]:
    """Find possible Message-IDs of ours in a text, each without its domain."""
    return _MESSAGE_ID.findall(text.lower())
