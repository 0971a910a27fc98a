"""Encrypt to the worker's public key (Sealer), with secrets and codes; generate and check keys."""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
SEALED = b"\x01"
WRAPPED = b"\x02"
# Bytes before the ciphertext: one of the format, four of the key id.
HEAD_OCTETS = 5
NONCE_OCTETS = 12
# Bytes of a padding block, into which every address and every name fits.
BLOCK_OCTETS = 256


def key_id(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:4]


def split_head(sealed: bytes) -> tuple[bytes, bytes, bytes]:
    """Return format, key id and ciphertext."""
    return sealed[:1], sealed[1:HEAD_OCTETS], sealed[HEAD_OCTETS:]


def associated_data(where: str) -> bytes:
    """Return the associated data that binds a ciphertext to its place, such as a column."""
    return b"belong-mail/v1/" + where.encode()


def sealed_for(kind: str) -> str:
    """Return the place for which a job is sealed, which includes its kind."""
    return f"jobs.sealed/{kind}"


def pad(data: bytes) -> bytes:
    """Pad data to whole blocks (ISO/IEC 7816-4: 0x80, then zeros)."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK_OCTETS)


def unpad(data: bytes) -> bytes:
    """Remove the padding. Raises ValueError if there is none."""
    bare, mark, zeros = data.rpartition(b"\x80")
    if not mark or len(data) % BLOCK_OCTETS or zeros != bytes(len(zeros)):
        raise ValueError("It was not filled up to whole blocks.")
    return bare


class UnlockError(Exception):
    """The secret is wrong, or the data was changed."""


def encrypt_with_secret(secret: str, data: bytes, where: str) -> bytes:
    """Encrypt with AES-256-GCM, under a key derived from the secret by HKDF."""
    nonce, cipher = os.urandom(NONCE_OCTETS), AESGCM(derive_key(secret.encode(), where))
    return nonce + cipher.encrypt(nonce, data, associated_data(where))


def decrypt_with_secret(secret: str, locked: bytes, where: str) -> bytes:
    """Decrypt data encrypted with the same secret and place. Raises UnlockError."""
    try:
        cipher = AESGCM(derive_key(secret.encode(), where))
        return cipher.decrypt(locked[:NONCE_OCTETS], locked[NONCE_OCTETS:], associated_data(where))
    except (InvalidTag, ValueError) as error:
        raise UnlockError(where) from error


def derive_key(secret: bytes, where: str) -> bytes:
    """Derive a key of 32 bytes for a place, by HKDF."""
    return HKDF(SHA256(), 32, salt=None, info=associated_data(where)).derive(secret)


class BlockCipher:
    """Encrypts single blocks of 16 bytes deterministically, with AES-256 and a key derived by HKDF.

    A block is authentic if it decrypts to something that no one can choose without the key.
    """

    def __init__(self, secret: bytes, where: str) -> None:
        key = derive_key(secret, where)
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - each block stands alone
        self.close = cipher.encryptor().update
        self.open = cipher.decryptor().update


class SecretKeyPair:
    """A key pair derived from a code, so that the code opens what was sealed to the public key."""

    def __init__(self, code: str, where: str) -> None:
        self._private = X25519PrivateKey.from_private_bytes(derive_key(code.encode(), where))
        self.public = self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes, where: str) -> bytes:
        """Open data that was sealed for a place with the public key. Raises UnlockError."""
        try:
            return unpad(SUITE.decrypt(sealed[HEAD_OCTETS:], self._private, associated_data(where)))
        except (InvalidTag, ValueError) as error:
            raise UnlockError(where) from error


class Sealer:
    """Seals data for the worker's private key; it cannot open any."""

    def __init__(self, public_keys: tuple[str, ...]) -> None:
        self._key = public_key(public_keys[-1])
        self._head = SEALED + key_id(self._key.public_bytes_raw())

    def seal(self, data: bytes, where: str) -> bytes:
        """Seal data, bound to a place (``table.column``) as associated data."""
        return self._head + SUITE.encrypt(pad(data), self._key, associated_data(where))


KINDS = ("secret", "public", "private", "index")
MIN_INDEX_KEY_OCTETS = 32


def new_keys() -> dict[str, str]:
    """Generate a key of each kind, in base64 as the settings have them."""
    private = X25519PrivateKey.generate()
    return {
        "secret": secrets.token_urlsafe(48),
        "public": encode(private.public_key().public_bytes_raw()),
        "private": encode(private.private_bytes_raw()),
        "index": encode(secrets.token_bytes(32)),
    }


def are_kept(folder: Path) -> bool:
    return all((folder / kind).exists() for kind in KINDS)


def load_or_create_keys(folder: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Read keys from a folder, one file each (mode 0600); if any is missing, create all of them."""
    if not are_kept(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind, key in new_keys().items():
            made = os.open(folder / kind, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as out:
                out.write(key + "\n")
    return {kind: (folder / kind).read_text().strip() for kind in wanted}


def validate_keys(
    public_keys: tuple[str, ...], private_keys: tuple[str, ...], index_keys: tuple[str, ...]
) -> list[str]:
    """Return errors in lists of keys, without quoting a key."""
    found = []
    try:
        public = {public_key(key).public_bytes_raw() for key in public_keys}
        opens = {private_key(key).public_key().public_bytes_raw() for key in private_keys}
    except ValueError:
        found.append("BELONG_PUBLIC_KEYS or BELONG_PRIVATE_KEYS has something that is not a key.")
    else:
        if opens and not public <= opens:
            found.append("BELONG_PRIVATE_KEYS does not open what BELONG_PUBLIC_KEYS seals.")
    if len(index_keys) > 1:
        found.append("BELONG_INDEX_KEYS must be one key.")
    if not all(map(_is_index_key, index_keys)):
        found.append("BELONG_INDEX_KEYS has something that is not a key.")
    return found


def _is_index_key(key: str) -> bool:
    try:
        return len(decode(key)) >= MIN_INDEX_KEY_OCTETS
    except ValueError:
        return False


def public_key(key: str) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(decode(key))


def private_key(key: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(decode(key))


def hmac_signer(key: bytes) -> Callable[[bytes], bytes]:
    """Return a function that computes HMAC-SHA-256, faster by preparing the key once."""
    keyed = HMAC(key, SHA256())

    def tag(message: bytes) -> bytes:
        tagged = keyed.copy()
        tagged.update(message)
        return tagged.finalize()

    return tag


def encode(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def decode(key: str) -> bytes:
    """Decode URL-safe base64. Raises ValueError for anything else."""
    try:
        return base64.b64decode(key, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
