"""Name a delivery on the wire: its return path (VERP) and its Message-ID."""

import base64
import hmac
import re

from belong_mail.core import encryption
from belong_mail.core.encryption import SivCipher, UnlockError

# Bytes of a delivery's id.
ID_OCTETS = 6
# Bytes of the HMAC in a return path, and of a Message-ID's tag (RFC 5297).
TAG_OCTETS, SIV_OCTETS = 10, 16
# Bytes of a membership's public id.
PUBLIC_ID_OCTETS = 16
_USE = b"belong/names/v1"
_LEAVE = b"belong/leave/v1"
_PREFIX = "b+"
_MESSAGE_ID = re.compile(rf"(?<![\w+.-])([0-9a-f]{{{2 * (SIV_OCTETS + ID_OCTETS)}}})@")


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
        self._messages = SivCipher(message_key) if message_key else None
        self._domain = domain

    def return_path(self, delivery_id: int) -> str:
        number = delivery_id.to_bytes(ID_OCTETS)
        made = number + self._tags[-1](_USE + number)[:TAG_OCTETS]
        return f"{_PREFIX}{made.hex()}@{self._domain}"

    def message_id(self, delivery_id: int, recipient: str) -> str:
        """Return a delivery's Message-ID, the same for every try (RFC 5322, 3.6.4).

        The recipient is normalised. Raises ValueError without the worker's key.
        """
        if self._messages is None:
            raise ValueError("Only the worker names messages.")
        number = delivery_id.to_bytes(ID_OCTETS)
        made = self._messages.close(number, recipient)
        return f"<{made.hex()}@{self._domain}>"

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
        """Return whether an address looks like a return path of ours, signed or not."""
        return address.lower().startswith(_PREFIX)

    def is_ours(self, address: str) -> bool:
        """Return whether we made an address, whatever it is for."""
        return self.read(address) is not None or self.read_leave_address(address) is not None

    def read(self, return_path: str) -> int | None:
        """Return the delivery that a return path names, or None if we did not make it."""
        number = self._opened(return_path, ID_OCTETS, _USE)
        return None if number is None else int.from_bytes(number)

    def read_leave_address(self, address: str) -> str | None:
        """Return the public id of the membership that an email to an address ends, if any."""
        name = self._opened(address, PUBLIC_ID_OCTETS, _LEAVE)
        return None if name is None else base64.urlsafe_b64encode(name).decode().rstrip("=")

    def _opened(self, address: str, octets: int, use: bytes) -> bytes | None:
        local = address.lower().partition("@")[0].removeprefix(_PREFIX)
        try:
            made = bytes.fromhex(local)
        except ValueError:
            return None
        name, tag = made[:octets], made[octets:]
        if made.hex() != local or len(tag) != TAG_OCTETS:
            return None
        is_ours = any(hmac.compare_digest(tag, of(use + name)[:TAG_OCTETS]) for of in self._tags)
        return name if is_ours else None

    def read_message_id(self, name: str, recipient: str) -> int | None:
        """Return the delivery that a Message-ID names, if it went to this normalised recipient."""
        if self._messages is None:
            return None
        try:
            return int.from_bytes(self._messages.open(bytes.fromhex(name), recipient))
        except UnlockError:
            return None


def message_names(text: str) -> list[str]:
    """Find possible Message-IDs of ours in a text, each without its domain."""
    return _MESSAGE_ID.findall(text.lower())
