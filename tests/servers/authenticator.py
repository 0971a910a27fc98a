"""An authenticator in software: it makes passkeys and signs with them, honestly or not.

Written from WebAuthn Level 3 alone, without the library that the site verifies with.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


def encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """A device with one passkey; what a dishonest one says otherwise can be set."""

    origin: str = "http://localhost:5000"
    party: str = "localhost"
    is_verified: bool = True
    is_present: bool = True
    is_framed: bool = False
    counter: int = 0
    # How the count goes on with each use: 0 for those that do not count.
    step: int = 1
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    handle: bytes = b""

    def create(self, options: dict[str, Any]) -> str:
        """Answer `navigator.credentials.create`."""
        asked = options["publicKey"]
        self.handle = decoded(asked["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        # A COSE key: of two coordinates, for ES256, on P-256.
        cose = bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        octets = self._octets(HAS_CREDENTIAL) + attested
        attestation = b"".join((
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59",
            len(octets).to_bytes(2, "big"),
            octets,
        ))  # fmt: skip
        said = {
            "clientDataJSON": encoded(self._client("webauthn.create", asked)),
            "attestationObject": encoded(attestation),
        }
        return self._answer(said)

    def get(self, options: dict[str, Any], kind: str = "webauthn.get", **changed: str) -> str:
        """Answer `navigator.credentials.get`; parts of the answer can be exchanged."""
        self.counter += self.step
        client = self._client(kind, options["publicKey"])
        octets = self._octets(0)
        digest = hashlib.sha256(client).digest()
        said = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(octets),
            "signature": encoded(self.key.sign(octets + digest, ec.ECDSA(SHA256()))),
            "userHandle": encoded(self.handle),
        }
        return self._answer({**said, **changed})

    def _client(self, kind: str, asked: dict[str, Any]) -> bytes:
        said = {
            "type": kind,
            "challenge": asked["challenge"],
            "origin": self.origin,
            "crossOrigin": self.is_framed,
        }
        return json.dumps(said).encode()

    def _octets(self, flags: int) -> bytes:
        flags |= PRESENT * self.is_present | VERIFIED * self.is_verified
        party = hashlib.sha256(self.party.encode()).digest()
        return party + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _answer(self, said: dict[str, str]) -> str:
        name = encoded(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": said})
