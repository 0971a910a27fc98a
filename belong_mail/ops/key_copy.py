"""Try a copy of the keys: whether it opens this database, and has all that is in use here."""

import io
import re
import tarfile
from pathlib import PurePosixPath

from sqlalchemy.orm import Session

from belong_mail.core.decryption import BlindIndex, Keyring, Opener
from belong_mail.core.encryption import KINDS, validate_keys
from belong_mail.core.services import Settings
from belong_mail.ops import key_check

# Keys by kind, the oldest first.
Keys = dict[str, tuple[str, ...]]
# Octets: no file of keys comes near it.
MAX_OCTETS = 1 << 20
LINE = re.compile(rf"^BELONG_({'|'.join(KINDS).upper()})_KEYS=(.*)$", re.MULTILINE)


def read_copy(data: bytes) -> Keys:
    """Read a tar of the folder of keys, or the lines of `keys new`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = {
                PurePosixPath(each.name).name: file.read(MAX_OCTETS).decode(errors="replace")
                for each in archive
                if each.isfile() and (file := archive.extractfile(each)) is not None
            }
    except tarfile.ReadError:
        lines = LINE.findall(data.decode(errors="replace"))
        found = {kind.lower(): value for kind, value in lines}
    return {kind: tuple(found.get(kind, "").strip().split(",")) for kind in KINDS}


def copy_faults(session: Session, keys: Keys, settings: Settings) -> list[str]:
    """Say why a copy is not enough to go on with this database; nothing when it is."""
    missing = [f"It has no {kind} key." for kind in KINDS if keys[kind] == ("",)]
    bad = missing or validate_keys(keys["public"], keys["private"], keys["index"])
    if bad:
        return bad
    keyring = Keyring(Opener(keys["private"]), BlindIndex(keys["index"]))
    in_use = {
        "secret": settings.secret_keys, "public": settings.public_keys,
        "private": settings.private_keys, "index": settings.index_keys,
    }  # fmt: skip
    return [
        *key_check.key_faults(session, keyring),
        *(
            f"It lacks a {kind} key that is in use here. Make a new copy."
            for kind, used in in_use.items()
            if not set(used) <= set(keys[kind])
        ),
    ]
