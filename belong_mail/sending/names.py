"""What a delivery is called on the wire: its return path and its Message-ID."""

import base64
import hashlib
import hmac

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

    def return_path(self, delivery_id: int) -> str:
        return f"b+{self._local(b'return-path', delivery_id, self._keys[-1])}@{self._domain}"

    def message_id(self, delivery_id: int) -> str:
        """Return the Message-ID: the same for every try of a delivery (RFC 5322, 3.6.4)."""
        return f"<{self._local(b'message-id', delivery_id, self._keys[-1])}@{self._domain}>"

    def list_id(self, group_public_id: str) -> str:
        """Return a group's List-Id (RFC 2919): the same for ever, and silent about the group."""
        label = base64.b32encode(hashlib.sha256(group_public_id.encode()).digest()[:10])
        return f"{label.decode().lower()}.belong.{self._domain}"

    def read(self, return_path: str) -> int | None:
        """Return the delivery that a return path names; None when we did not make it."""
        local = return_path.lower().partition("@")[0].removeprefix("b+")
        try:
            number = int.from_bytes(base64.b32decode(local.upper() + "=" * (-len(local) % 8))[:6])
        except ValueError:
            return None
        made = [self._local(b"return-path", number, key) for key in self._keys]
        return number if any(hmac.compare_digest(local, each) for each in made) else None

    @staticmethod
    def _local(use: bytes, delivery_id: int, key: bytes) -> str:
        number = delivery_id.to_bytes(6)
        tag = hmac.digest(key, b"belong/" + use + b"/v1" + number, hashlib.sha256)[:TAG]
        return base64.b32encode(number + tag).decode().rstrip("=").lower()
