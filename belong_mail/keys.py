"""The four kinds of keys: made, kept in files for development, checked; what tags under one."""

import base64
import binascii
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

KINDS = ("secret", "public", "private", "index")
MIN_INDEX_KEY = 32
"""Octets."""


def new() -> dict[str, str]:
    """Make one key of each kind: text for the settings, base64 of 32 bytes or more."""
    private = X25519PrivateKey.generate()
    return {
        "secret": secrets.token_urlsafe(48),
        "public": encode(private.public_key().public_bytes_raw()),
        "private": encode(private.private_bytes_raw()),
        "index": encode(secrets.token_bytes(32)),
    }


def kept(folder: Path) -> dict[str, str]:
    """Return the keys in a folder, one file each (0600); the first call makes them."""
    if not all((folder / kind).exists() for kind in KINDS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind, key in new().items():
            _write(folder / kind, key)
    return {kind: (folder / kind).read_text().strip() for kind in KINDS}


def complaints(
    public_keys: tuple[str, ...], private_keys: tuple[str, ...], index_keys: tuple[str, ...]
) -> list[str]:
    """Say what is wrong with lists of keys, without quoting a key."""
    found = []
    try:
        public = {public_key(key).public_bytes_raw() for key in public_keys}
        opens = {private_key(key).public_key().public_bytes_raw() for key in private_keys}
    except ValueError:
        found.append("BELONG_PUBLIC_KEYS or BELONG_PRIVATE_KEYS holds something that is not a key.")
    else:
        if opens and not public <= opens:
            found.append("BELONG_PRIVATE_KEYS does not open what BELONG_PUBLIC_KEYS seals.")
    if len(index_keys) > 1:
        found.append("BELONG_INDEX_KEYS holds one key.")
    if not all(map(_is_index_key, index_keys)):
        found.append("BELONG_INDEX_KEYS holds something that is not a key.")
    return found


def _is_index_key(key: str) -> bool:
    try:
        return len(decode(key)) >= MIN_INDEX_KEY
    except ValueError:
        return False


def public_key(key: str) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(decode(key))


def private_key(key: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(decode(key))


def tagging(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA-256 under a key, which is prepared once: cheap for many short messages."""
    keyed = HMAC(key, SHA256())

    def tag(message: bytes) -> bytes:
        tagged = keyed.copy()
        tagged.update(message)
        return tagged.finalize()

    return tag


def encode(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def decode(key: str) -> bytes:
    """Raise ValueError for anything that is not base64."""
    try:
        return base64.b64decode(key, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _write(file: Path, key: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(key + "\n")
