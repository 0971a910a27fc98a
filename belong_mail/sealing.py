r"""Sealer: public key in, sealed bytes out; the format of sealed and wrapped bytes.

Sealed bytes are ``\x01``, four bytes that name the key, and an HPKE ciphertext in base mode
(RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305). Wrapped bytes are ``\x02``,
the key's name, a 12-byte nonce and an AES-256-GCM ciphertext; only `opening` makes them. Both are
filled up before they are encrypted, so that their length does not tell addresses apart.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from belong_mail import keys

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
SEALED = b"\x01"
WRAPPED = b"\x02"
HEAD = 5
"""Octets before the ciphertext: the format's number and the key's name."""
NONCE = 12
BLOCK = 256
"""Octets; every address and every name fits one block."""


def key_name(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:4]


def purpose(where: str) -> bytes:
    """Bind a ciphertext to the table and column it was made for."""
    return b"belong-mail/v1/" + where.encode()


def filled(data: bytes) -> bytes:
    """Fill data up to whole blocks (ISO/IEC 7816-4: a mark, then zeros)."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def unfilled(data: bytes) -> bytes:
    return data.rpartition(b"\x80")[0]


class CannotUnlock(Exception):
    """The secret is another's, or the bytes were changed."""


def lock(secret: str, data: bytes, where: str) -> bytes:
    """Close data so that only whoever has the secret opens it: AES-256-GCM, its key by HKDF."""
    nonce = os.urandom(NONCE)
    return nonce + _cipher(secret, where).encrypt(nonce, data, purpose(where))


def unlock(secret: str, locked: bytes, where: str) -> bytes:
    """Open what was locked with this secret for this place, or raise CannotUnlock."""
    try:
        return _cipher(secret, where).decrypt(locked[:NONCE], locked[NONCE:], purpose(where))
    except (InvalidTag, ValueError) as error:
        raise CannotUnlock(where) from error


def _cipher(secret: str, where: str) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt=None, info=purpose(where))
    return AESGCM(derived.derive(secret.encode()))


class Receipt:
    """A key pair that follows from a code: whoever has the code opens what was sealed to it."""

    def __init__(self, code: str, where: str) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=purpose(where)).derive(code.encode())
        self._private = X25519PrivateKey.from_private_bytes(derived)
        self.public = self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, where: str) -> bytes:
        """Open what a Sealer with the public half sealed for a place, or raise CannotUnlock."""
        try:
            return unfilled(SUITE.decrypt(sealed[HEAD:], self._private, purpose(where)))
        except (InvalidTag, ValueError) as error:
            raise CannotUnlock(where) from error


class Sealer:
    """Seals for the worker. Whoever holds only this can open nothing."""

    def __init__(self, public_keys: tuple[str, ...]) -> None:
        self._key = keys.public_key(public_keys[-1])
        self._head = SEALED + key_name(self._key.public_bytes_raw())

    def seal(self, data: bytes, where: str) -> bytes:
        """Seal data for one place, named ``table.column``."""
        return self._head + SUITE.encrypt(filled(data), self._key, purpose(where))
