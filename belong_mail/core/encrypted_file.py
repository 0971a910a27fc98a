"""Encrypt a file to an offline key, in chunks: a backup that this machine itself cannot open.

The format, version 1 (docs/operators.md, “Encrypted backups”):

    head    MAGIC, the first 4 octets of SHA-256 of the public key, and the file's own key (32
            random octets) sealed by HPKE (RFC 9180: base mode, X25519, HKDF-SHA256,
            ChaCha20-Poly1305; info "belong-mail/v1/backup"): 100 octets
    chunks  AES-256-GCM of 64 KiB of the file each, the last one of what is left, maybe nothing.
            Nonce: the chunk's number (11 octets, big-endian, from 0), then 1 for the last chunk,
            else 0. Associated data: the head

So a chunk that is changed, moved, missing or of another file opens nothing, nor does a file whose
end is cut off.
"""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from belong_mail.core import encryption

MAGIC = b"belong-backup/1\n"
PLACE = encryption.associated_data("backup")
FILE_KEY_OCTETS = 32
# HPKE puts an encapsulated key before, and a tag after it.
SEALED_KEY_OCTETS = 32 + FILE_KEY_OCTETS + 16
NAME_OCTETS = 4
HEAD_OCTETS = len(MAGIC) + NAME_OCTETS + SEALED_KEY_OCTETS
CHUNK_OCTETS = 64 * 1024
TAG_OCTETS = 16


class InvalidFile(Exception):
    """Says why an encrypted file cannot be opened."""


def new_key_pair() -> tuple[str, str]:
    """Make a private key and its public one, as text."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return encryption.encode(private.private_bytes_raw()), encryption.encode(public)


def write_key_file(file: Path, private: str, public: str, made: date) -> None:
    """Write a private key into a new file (0600), or raise OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(f"# Belong Mail: opens its backups. Made on {made}. Keep it off the server.\n")
        out.write(f"# Its public key: {public}\n{private}\n")
        out.flush()
        os.fsync(out.fileno())


def is_encrypted(file: Path) -> bool:
    with file.open("rb") as source:
        return source.read(len(MAGIC)) == MAGIC


def looks_whole(file: Path) -> bool:
    """Tell whether a file has the form of an encrypted one; only the private key tells more."""
    left = (file.stat().st_size - HEAD_OCTETS) % (CHUNK_OCTETS + TAG_OCTETS)
    is_long = file.stat().st_size >= HEAD_OCTETS + TAG_OCTETS
    return is_long and is_encrypted(file) and (left == 0 or left >= TAG_OCTETS)


def encrypt(source: IO[bytes], target: IO[bytes], public: str) -> None:
    """Encrypt all that a stream has to a public key; holds two chunks at a time."""
    key, recipient = os.urandom(FILE_KEY_OCTETS), encryption.public_key(public)
    name = encryption.key_name(recipient.public_bytes_raw())[:NAME_OCTETS]
    head = MAGIC + name + encryption.SUITE.encrypt(key, recipient, PLACE)
    target.write(head)
    cipher = AESGCM(key)
    for number, chunk, is_last in _chunks(source, CHUNK_OCTETS):
        target.write(cipher.encrypt(_nonce(number, is_last=is_last), chunk, head))


def decrypt(source: IO[bytes], target: IO[bytes], key_file: Path) -> None:
    """Open a stream with the private key in a file, or raise InvalidFile.

    What is written before that is true, but may not be all: use it only when this returns.
    """
    private = _private_key(key_file)
    head = source.read(HEAD_OCTETS)
    sealed = head[len(MAGIC) + NAME_OCTETS :]
    if head[: len(MAGIC)] != MAGIC or len(head) != HEAD_OCTETS:
        raise InvalidFile("This is not an encrypted copy, or its beginning is damaged.")
    name = encryption.key_name(private.public_key().public_bytes_raw())
    if head[len(MAGIC) : -SEALED_KEY_OCTETS] != name[:NAME_OCTETS]:
        raise InvalidFile("This copy was encrypted to another key.")
    try:
        cipher = AESGCM(encryption.SUITE.decrypt(sealed, private, PLACE))
        for number, chunk, is_last in _chunks(source, CHUNK_OCTETS + TAG_OCTETS):
            target.write(cipher.decrypt(_nonce(number, is_last=is_last), chunk, head))
    except (InvalidTag, ValueError) as error:
        raise InvalidFile("The copy is damaged, cut off or changed. Take another one.") from error


def _private_key(file: Path) -> X25519PrivateKey:
    try:
        lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
        return encryption.private_key(lines[-1].strip())
    except (OSError, ValueError, IndexError) as error:
        raise InvalidFile("The file with the private key cannot be read as one.") from error


def _chunks(source: IO[bytes], octets: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield a stream's chunks with their numbers, and whether each is the last; at least one.

    The stream is buffered: it gives less only at the end, also where it is a pipe.
    """
    number, chunk = 0, source.read(octets)
    while following := source.read(octets):
        yield number, chunk, False
        number, chunk = number + 1, following
    yield number, chunk, True


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
