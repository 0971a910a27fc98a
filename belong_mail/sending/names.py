"""What a delivery is called on the wire: its return path and its Message-ID."""

import base64
import hashlib
import hmac

NUMBER = 6
"""Octets of a delivery's id."""
DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
PAIRS = [first + second for first in DIGITS for second in DIGITS]
TAG = 10
"""Octets of the HMAC that makes a name unforgeable."""


class Names:
    """Names deliveries; only the holder of the secret keys can make or read a name.

    The local parts are lower-case base32, at most 64 octets, and safe under case-folding
    (RFC 5321, 4.5.3.1.1). They tell nothing about recipient or group.
    """

    def __init__(self, secret_keys: tuple[str, ...], domain: str) -> None:
        """Take the secret keys, oldest first: the newest names, all of them read."""
        self._keys = [key.encode() for key in secret_keys]
        self._domain = domain

    def of(self, delivery_id: int) -> tuple[str, str]:
        """Return a delivery's return path and its Message-ID.

        They are the same for every try (RFC 5322, 3.6.4); neither is found from the other.
        """
        number = delivery_id.to_bytes(NUMBER)
        tags = _tags(number, self._keys[-1])
        return_path = _base32(number + tags[:TAG])
        message_id = tags[TAG : 2 * TAG].hex()
        return f"b+{return_path}@{self._domain}", f"<{message_id}@{self._domain}>"

    def return_path(self, delivery_id: int) -> str:
        return self.of(delivery_id)[0]

    def message_id(self, delivery_id: int) -> str:
        return self.of(delivery_id)[1]

    def list_id(self, group_public_id: str) -> str:
        """Return a group's List-Id (RFC 2919): the same for ever, and silent about the group."""
        label = base64.b32encode(hashlib.sha256(group_public_id.encode()).digest()[:10])
        return f"{label.decode().lower()}.belong.{self._domain}"

    def read(self, return_path: str) -> int | None:
        """Return the delivery that a return path names; None when we did not make it."""
        local = return_path.lower().partition("@")[0].removeprefix("b+")
        try:
            made = base64.b32decode(local.upper() + "=" * (-len(local) % 8))
        except ValueError:
            return None
        number, tag = made[:NUMBER], made[NUMBER:]
        if _base32(made) != local or len(tag) != TAG:
            return None
        tags = [_tags(number, key)[:TAG] for key in self._keys]
        is_ours = any(hmac.compare_digest(tag, each) for each in tags)
        return int.from_bytes(number) if is_ours else None


def _tags(number: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"belong/names/v1" + number, hashlib.sha256)


def _base32(data: bytes) -> str:
    """Write octets in lower-case base32 without padding (RFC 4648, 6), two digits at a time."""
    bits = 8 * len(data)
    room = -bits % 10
    number = int.from_bytes(data) << room
    pairs = [PAIRS[number >> shift & 1023] for shift in range(bits + room - 10, -1, -10)]
    return "".join(pairs)[: -(-bits // 5)]
