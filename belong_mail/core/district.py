"""How people are named whom the district's identity provider knows."""

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class District:
    """The identity provider that is configured; without an issuer there is none."""

    issuer: str = ""
    # Oldest first; the newest names.
    secret_keys: tuple[str, ...] = ()

    def name(self, subject: str) -> bytes:
        """Name a person by issuer and subject, under the newest key."""
        return self.names(subject)[0]

    def names(self, subject: str) -> list[bytes]:
        """Name a person under each key, the newest first."""
        message = f"identity\x00{self.issuer}\x00{subject}".encode()
        return [
            hmac.digest(key.encode(), message, hashlib.sha256) for key in reversed(self.secret_keys)
        ]
