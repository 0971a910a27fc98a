"""Name a delivery on the wire: its return path (VERP) and its Message-ID."""

import base64
import hmac

from belong_mail.core import encryption

# Octets of a delivery's id.
ID_OCTETS = 6
# Octets of the HMAC that makes a name unforgeable.
TAG_OCTETS = 10
# Where the second name begins, in hexadecimal digits.
_SECOND = 2 * (ID_OCTETS + TAG_OCTETS)
_USE = b"belong/names/v1"
_PREFIX = "b+"


class VerpAddresses:
    """Names deliveries; only the holder of the secret keys can make or read a name.

    The local parts are lower-case hexadecimal, at most 64 octets, and safe under case-folding
    (RFC 5321, 4.5.3.1.1). They tell nothing about recipient or group.
    """

    def __init__(self, secret_keys: tuple[str, ...], domain: str) -> None:
        """Take the secret keys, oldest first: the newest names, all of them read."""
        self._tags = [encryption.hmac_signer(key.encode()) for key in secret_keys]
        self._domain = domain

    def of(self, delivery_id: int) -> tuple[str, str]:
        """Return a delivery's return path and its Message-ID.

        They are the same for every try (RFC 5322, 3.6.4); neither is found from the other.
        """
        number = delivery_id.to_bytes(ID_OCTETS)
        made = (number + self._tags[-1](_USE + number)).hex()
        return_path, message_id = made[:_SECOND], made[_SECOND : _SECOND + 2 * TAG_OCTETS]
        return f"{_PREFIX}{return_path}@{self._domain}", f"<{message_id}@{self._domain}>"

    def return_path(self, delivery_id: int) -> str:
        return self.of(delivery_id)[0]

    def message_id(self, delivery_id: int) -> str:
        return self.of(delivery_id)[1]

    def list_id(self, label: bytes) -> str:
        """Return a group's List-Id (RFC 2919) from its label (`BlindIndex.list_label`)."""
        return f"{base64.b32encode(label).decode().lower()}.belong.{self._domain}"

    def has_form(self, address: str) -> bool:
        """Tell whether an address would be a return path of ours, were it signed."""
        return address.lower().startswith(_PREFIX)

    def read(self, return_path: str) -> int | None:
        """Return the delivery that a return path names; None when we did not make it."""
        local = return_path.lower().partition("@")[0].removeprefix(_PREFIX)
        try:
            made = bytes.fromhex(local)
        except ValueError:
            return None
        number, tag = made[:ID_OCTETS], made[ID_OCTETS:]
        if made.hex() != local or len(tag) != TAG_OCTETS:
            return None
        is_ours = any(hmac.compare_digest(tag, of(_USE + number)[:TAG_OCTETS]) for of in self._tags)
        return int.from_bytes(number) if is_ours else None
