"""What a delivery is called on the wire: its return path and its Message-ID."""

import base64
import hashlib
import hmac

from belong_mail import keys

NUMBER = 6
"""Octets of a delivery's id."""
TAG = 10
"""Octets of the HMAC that makes a name unforgeable."""
_SECOND = 2 * (NUMBER + TAG)
"""Where the second name begins, in hexadecimal digits."""
_USE = b"belong/names/v1"
_PREFIX = "b+"


class Names:
    """Names deliveries; only the holder of the secret keys can make or read a name.

    The local parts are lower-case hexadecimal, at most 64 octets, and safe under case-folding
    (RFC 5321, 4.5.3.1.1). They tell nothing about recipient or group.
    """

    def __init__(self, secret_keys: tuple[str, ...], domain: str) -> None:
        """Take the secret keys, oldest first: the newest names, all of them read."""
        self._tags = [keys.tagging(key.encode()) for key in secret_keys]
        self._domain = domain

    def of(self, delivery_id: int) -> tuple[str, str]:
        """Return a delivery's return path and its Message-ID.

        They are the same for every try (RFC 5322, 3.6.4); neither is found from the other.
        """
        number = delivery_id.to_bytes(NUMBER)
        made = (number + self._tags[-1](_USE + number)).hex()
        return_path, message_id = made[:_SECOND], made[_SECOND : _SECOND + 2 * TAG]
        return f"{_PREFIX}{return_path}@{self._domain}", f"<{message_id}@{self._domain}>"

    def return_path(self, delivery_id: int) -> str:
        return self.of(delivery_id)[0]

    def message_id(self, delivery_id: int) -> str:
        return self.of(delivery_id)[1]

    def list_id(self, group_public_id: str) -> str:
        """Return a group's List-Id (RFC 2919): the same for ever, and silent about the group."""
        label = base64.b32encode(hashlib.sha256(group_public_id.encode()).digest()[:10])
        return f"{label.decode().lower()}.belong.{self._domain}"

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
        number, tag = made[:NUMBER], made[NUMBER:]
        if made.hex() != local or len(tag) != TAG:
            return None
        is_ours = any(hmac.compare_digest(tag, of(_USE + number)[:TAG]) for of in self._tags)
        return int.from_bytes(number) if is_ours else None
