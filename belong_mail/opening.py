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

    @property
    def older(self) -> list[bytes]:
        """Name the keys that are not the newest, as sealed and wrapped bytes do."""
        return [name for name in self._private if name != self._newest]

    def open(self, sealed: bytes, where: str) -> bytes:
        """Open what was sealed for a place (``table.column``), by whoever has the public key.

        Raises CannotOpen.
        """
        kind, name, rest = sealed[:1], sealed[1 : sealing.HEAD], sealed[sealing.HEAD :]
        if kind != sealing.SEALED:
            raise CannotOpen(where)
        try:
            opened = sealing.SUITE.decrypt(rest, self._private[name], sealing.purpose(where))
            return sealing.unfilled(opened)
        except (KeyError, InvalidTag, ValueError) as error:
            raise CannotOpen(where) from error

    def unwrap(self, wrapped: bytes, where: str, row: str) -> bytes:
        """Open what this side wrapped for a place and a row, or raise CannotOpen.

        Sealed bytes are refused: a break-in to the web must not put words into the worker's mouth.
        """
        kind, name, rest = wrapped[:1], wrapped[1 : sealing.HEAD], wrapped[sealing.HEAD :]
        if kind != sealing.WRAPPED:
            raise CannotOpen(where)
        try:
            place = sealing.purpose(f"{where}/{row}")
            opened = self._wrapping[name].decrypt(rest[:NONCE], rest[NONCE:], place)
            return sealing.unfilled(opened)
        except (KeyError, InvalidTag, ValueError) as error:
            raise CannotOpen(where) from error

    def wrap(self, data: bytes, where: str, row: str) -> bytes:
        """Wrap data so that it opens only in this place and row."""
        nonce = os.urandom(NONCE)
        place = sealing.purpose(f"{where}/{row}")
        wrapped = self._wrapping[self._newest].encrypt(nonce, sealing.filled(data), place)
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
