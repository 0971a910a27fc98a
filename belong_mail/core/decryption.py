"""Decrypt and index addresses: Opener and BlindIndex, whose keys only the worker has."""

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from belong_mail.core import encryption
from belong_mail.core.encryption import HEAD_OCTETS, NONCE_OCTETS, derive_key

# Most unknown key ids remembered: an intruder who writes rows could invent any number.
MAX_UNKNOWN_KEYS = 100


class DecryptionError(Exception):
    """The data was encrypted for another key, column or row, or was changed."""


class UnknownKey(DecryptionError):
    """Unknown key id: the key is missing, or the data is corrupt."""


class KeysMissing(Exception):
    """The worker's keys are not set here."""

    def __init__(self) -> None:
        super().__init__(
            "BELONG_PRIVATE_KEYS and BELONG_INDEX_KEYS are not set here. Only the worker has them."
        )


class Opener:
    """Opens what the web sealed (HPKE); wraps and opens what the worker stores (AES-256-GCM)."""

    def __init__(self, private_keys: tuple[str, ...]) -> None:
        """Take the private keys, oldest first. All of them open; the newest wraps."""
        self._private = {}
        self._wrapping = {}
        self.unknown: set[bytes] = set()
        """Ids of missing keys that were met; `key_check` finds out whether they ever existed."""
        self._dismissed: set[bytes] = set()
        for text in private_keys:
            key = encryption.private_key(text)
            key_id = encryption.key_id(key.public_key().public_bytes_raw())
            self._private[key_id] = key
            secret = derive_key(key.private_bytes_raw(), "wrap")
            self._wrapping[encryption.WRAPPED + key_id] = AESGCM(secret)
            self._newest = key_id

    @property
    def old_key_ids(self) -> list[bytes]:
        """Return the ids of all keys but the newest, as they stand in ciphertexts."""
        return [key_id for key_id in self._private if key_id != self._newest]

    @property
    def key_ids(self) -> list[bytes]:
        """Return the ids of all keys, as they stand in ciphertexts."""
        return list(self._private)

    def has(self, made: bytes) -> bool:
        """Return whether the key of a ciphertext is here."""
        return made[1:HEAD_OCTETS] in self._private

    def dismiss(self, key_id: bytes) -> None:
        """Treat data with this key id as corrupt from now on."""
        self.unknown.discard(key_id)
        self._dismissed.add(key_id)

    def open(self, sealed: bytes, where: str) -> bytes:
        """Open data sealed for a place (``table.column``). Raises DecryptionError."""
        kind, key_id, rest = encryption.split_head(sealed)
        if kind != encryption.SEALED:
            raise DecryptionError(where)
        try:
            opened = encryption.SUITE.decrypt(
                rest, self._private[key_id], encryption.associated_data(where)
            )
            return encryption.unpad(opened)
        except (KeyError, InvalidTag, ValueError) as error:
            raise DecryptionError(where) from error

    def unwrap(self, wrapped: bytes, where: str, row: str) -> bytes:
        """Open data that the worker wrapped for a place and a row. Raises DecryptionError.

        Sealed data is refused: otherwise an intruder in the web could write in the worker's name.
        """
        if (key := self._wrapping.get(wrapped[:HEAD_OCTETS])) is None:
            kind, key_id, _ = encryption.split_head(wrapped)
            is_ours = kind == encryption.WRAPPED and key_id not in self._dismissed
            if is_ours and len(self.unknown) < MAX_UNKNOWN_KEYS:
                self.unknown.add(key_id)
                raise UnknownKey(where)
            raise DecryptionError(where)
        try:
            rest = wrapped[HEAD_OCTETS:]
            place = encryption.associated_data(f"{where}/{row}")
            return encryption.unpad(key.decrypt(rest[:NONCE_OCTETS], rest[NONCE_OCTETS:], place))
        except (InvalidTag, ValueError) as error:
            raise DecryptionError(where) from error

    def wrap(self, data: bytes, where: str, row: str) -> bytes:
        """Wrap data, bound to this place and row as associated data."""
        head, nonce = encryption.WRAPPED + self._newest, os.urandom(NONCE_OCTETS)
        place = encryption.associated_data(f"{where}/{row}")
        return head + nonce + self._wrapping[head].encrypt(nonce, encryption.pad(data), place)


class BlindIndex:
    """Keyed hashes of addresses: HMAC-SHA-256 under a key of its own, cut to 16 bytes.

    Callers normalise addresses first (`mail.address.normalise`).
    """

    def __init__(self, index_keys: tuple[str, ...]) -> None:
        self._key = encryption.decode(index_keys[-1])

    def member(self, group_public_id: str, address: str) -> bytes:
        """Return an address's index in one group; it cannot be related to another group's."""
        return self._hash("member", group_public_id, address)

    def barred(self, group_public_id: str, address: str) -> bytes:
        """Return the index of an address barred from a group, which differs from a membership's."""
        return self._hash("bar", group_public_id, address)

    def suppressed(self, address: str) -> bytes:
        return self._hash("suppress", "", address)

    def erased(self, address: str) -> bytes:
        return self._hash("erase", "", address)

    def limited(self, use: str, name: str, *names: str) -> bytes:
        """Return the index under which a rate limit counts; two kinds of use never share one."""
        return self._hash("limit", use, "\x00".join((name, *names)))

    def returned(self, digest: str) -> bytes:
        """Return the index of a returned message, by which it is processed only once."""
        return self._hash("returned", "", digest)

    def intake(self, mailbox: str) -> bytes:
        """Return the index of the mailbox for bounces."""
        return self._hash("intake", "", mailbox)

    def message_key(self) -> bytes:
        """Return the key that encrypts Message-IDs: 32 bytes."""
        return hmac.digest(self._key, b"message-id\x00\x00", hashlib.sha256)

    def permit(self, suppressed: bytes, since: str, until: int) -> bytes:
        """Return the MAC of a permission to lift a suppression until a time."""
        return self._hash("lift", f"{suppressed.hex()}\x00{since}", str(until))

    def link_secret(self, use: str, public_id: str) -> str:
        """Return the secret of a link that is emailed repeatedly; no row stores it."""
        return encryption.encode(self._hash(f"link/{use}", "", public_id)).rstrip("=")

    def staff_code(self, group_public_id: str, nonce: str, hour: int) -> bytes:
        """Return the bytes of a staff code for one group, page (by its nonce) and hour."""
        return self._hash("staff-code", group_public_id, f"{nonce}/{hour}")

    def account(self, address: str) -> bytes:
        return self._hash("account", "", address)

    def list_label(self, group_public_id: str) -> bytes:
        """Return the label of a group's List-Id (RFC 2919): permanent, and not guessable."""
        return self._hash("list", group_public_id, "")[:10]

    def _hash(self, use: str, scope: str, address: str) -> bytes:
        message = f"{use}\x00{scope}\x00{address}".encode()
        return hmac.digest(self._key, message, hashlib.sha256)[:16]


@dataclass(frozen=True, slots=True)
class Keyring:
    """The worker's keys."""

    opener: Opener
    index: BlindIndex


def worker_keys(private_keys: tuple[str, ...], index_keys: tuple[str, ...]) -> Keyring:
    """Return the worker's private keys and index. Raises KeysMissing."""
    if not private_keys or not index_keys:
        raise KeysMissing
    return Keyring(Opener(private_keys), BlindIndex(index_keys))
