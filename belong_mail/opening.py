"""Opener and BlindIndex: private and index keys; the worker's side alone."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from belong_mail import keys, sealing

NONCE = 12


class CannotOpen(Exception):
    """The bytes were made for another key, place or row, or were changed."""


class KeysMissing(Exception):
    """BELONG_PRIVATE_KEYS and BELONG_INDEX_KEYS are not set here; the worker has them."""


class Opener:
    """Opens what the web sealed, and wraps what the worker keeps."""

    def __init__(self, private_keys: tuple[str, ...]) -> None:
        """Take the private keys, oldest first; the newest wraps."""
        self._private = {}
        self._wrapping = {}
        for text in private_keys:
            key = keys.private_key(text)
            name = sealing.key_name(key.public_key().public_bytes_raw())
            self._private[name] = key
            derived = HKDF(SHA256(), 32, salt=None, info=sealing.purpose("wrap"))
            self._wrapping[name] = AESGCM(derived.derive(key.private_bytes_raw()))
            self._newest = name

    def open(self, data: bytes, where: str, row: str = "") -> bytes:
        """Open sealed or wrapped bytes of a place (``table.column``) and, if wrapped, of a row.

        Raises CannotOpen.
        """
        kind, name, rest = data[:1], data[1 : sealing.HEAD], data[sealing.HEAD :]
        try:
            if kind == sealing.SEALED:
                opened: bytes = sealing.SUITE.decrypt(
                    rest, self._private[name], sealing.purpose(where)
                )
                return opened
            if kind == sealing.WRAPPED:
                place = sealing.purpose(f"{where}/{row}")
                return self._wrapping[name].decrypt(rest[:NONCE], rest[NONCE:], place)
        except (KeyError, InvalidTag, ValueError) as error:
            raise CannotOpen(where) from error
        raise CannotOpen(where)

    def wrap(self, data: bytes, where: str, row: str) -> bytes:
        """Wrap data so that it opens only in this place and row."""
        nonce = os.urandom(NONCE)
        place = sealing.purpose(f"{where}/{row}")
        wrapped = self._wrapping[self._newest].encrypt(nonce, data, place)
        return sealing.WRAPPED + self._newest + nonce + wrapped


class BlindIndex:
    """Names an address without telling it: HMAC-SHA-256, cut to 16 octets, under a key of its own.

    Addresses come in normalised (`mail.address.normalise`).
    """

    def __init__(self, index_keys: tuple[str, ...]) -> None:
        self._key = keys.decode(index_keys[-1])

    def member(self, group_public_id: str, address: str) -> bytes:
        """Name an address within one group; two groups' names have nothing in common."""
        return self._name("member", group_public_id, address)

    def suppressed(self, address: str) -> bytes:
        return self._name("suppress", "", address)

    def limited(self, address: str) -> bytes:
        return self._name("limit", "", address)

    def account(self, address: str) -> bytes:
        return self._name("account", "", address)

    def _name(self, use: str, scope: str, address: str) -> bytes:
        message = f"{use}\x00{scope}\x00{address}".encode()
        return hmac.digest(self._key, message, hashlib.sha256)[:16]


def worker_keys(
    private_keys: tuple[str, ...], index_keys: tuple[str, ...]
) -> tuple[Opener, BlindIndex]:
    """Return what only the worker has, or raise KeysMissing."""
    if not private_keys or not index_keys:
        raise KeysMissing
    return Opener(private_keys), BlindIndex(index_keys)
