"""Encrypt backups in age's format to a public key, whose private key is kept offline."""

import os
import re
from datetime import date
from io import BufferedIOBase
from pathlib import Path

from pyrage import DecryptError, IdentityError, RecipientError, decrypt_io, encrypt_io
from pyrage.x25519 import Identity, Recipient

MAGIC = b"age-encryption.org/v1\n"
# The header's last line; lines of random length before it make its position vary.
END_OF_HEAD = re.compile(rb"\n--- [A-Za-z0-9+/]{43}\n")
MAX_HEAD_OCTETS = 4096
NONCE_OCTETS = 16
CHUNK_OCTETS = 64 * 1024
TAG_OCTETS = 16


class InvalidFile(Exception):
    """The encrypted file cannot be opened; the error says why."""


def new_key_pair() -> tuple[str, str]:
    """Generate a private and a public key, as text."""
    identity = Identity.generate()
    return str(identity), str(identity.to_public())


def write_key_file(file: Path, private: str, public: str, made: date) -> None:
    """Write a private key into a new file (0600), or raise OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(f"# Belong Mail: opens its backups. Made on {made}. Keep it off the server.\n")
        out.write(f"# public key: {public}\n{private}\n")
        out.flush()
        os.fsync(out.fileno())


def check_recipient(public: str) -> None:
    """Raise ValueError unless this is an age public key."""
    try:
        Recipient.from_str(public)
    except RecipientError as error:
        raise ValueError(str(error)) from error


def is_encrypted(file: Path) -> bool:
    with file.open("rb") as source:
        return source.read(len(MAGIC)) == MAGIC


def looks_whole(file: Path) -> bool:
    """Return whether a file has the right form and size; only the key can tell more."""
    with file.open("rb") as source:
        head = source.read(MAX_HEAD_OCTETS)
    end = END_OF_HEAD.search(head)
    if not head.startswith(MAGIC) or end is None:
        return False
    chunks = file.stat().st_size - end.end() - NONCE_OCTETS
    left = chunks % (CHUNK_OCTETS + TAG_OCTETS)
    return chunks >= TAG_OCTETS and (left == 0 or left >= TAG_OCTETS)


def encrypt(source: BufferedIOBase, target: BufferedIOBase, public: str) -> None:
    """Encrypt a stream to a public key, in constant memory."""
    encrypt_io(source, target, [Recipient.from_str(public)])


def decrypt(source: BufferedIOBase, target: BufferedIOBase, key_file: Path) -> None:
    """Decrypt a stream with the private key in a file. Raises InvalidFile.

    Use the output only after this returns: the first chunks of a damaged file are written, too.
    """
    identity = _private_key(key_file)
    try:
        decrypt_io(source, target, [identity])
    except DecryptError as error:
        if "No matching keys" in str(error):
            raise InvalidFile("This copy was encrypted to another key.") from error
        raise InvalidFile("This is not an encrypted copy, or its beginning is damaged.") from error
    except OSError as error:
        if error.errno:  # an error of the disk, not of the format
            raise
        raise InvalidFile("The copy is damaged, cut off or changed. Take another one.") from error


def _private_key(file: Path) -> Identity:
    try:
        lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
        return Identity.from_str(lines[-1].strip())
    except (OSError, ValueError, IndexError, IdentityError) as error:
        raise InvalidFile("The file with the private key cannot be read as one.") from error
