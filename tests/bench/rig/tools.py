"""The programs that measure and the peer: fetched into var/bench, never installed, no daemon."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.relays.debian import IS_REQUIRED, unpack

ROOT = Path(__file__).resolve().parent.parent.parent.parent
FOLDER = ROOT / "var" / "bench"
DEBIAN = FOLDER / "debian"
# Programs, and the Debian packages that have them.
PACKAGES = {
    "usr/sbin/smtp-source": ("postfix",),
    "usr/sbin/smtp-sink": ("postfix",),
    "usr/bin/stunnel4": ("stunnel4", "libwrap0"),
    "usr/bin/strace": ("strace",),
}


class NotHere(Exception):
    """A program is missing and could not be fetched; says what can be done."""


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    libraries: str = ""

    def environment(self) -> dict[str, str]:
        return {**os.environ, **({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})}


def program(place: str) -> Program:
    """Return the machine's own program, or one out of Debian's package; else raise NotHere."""
    name = Path(place).name
    own = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if own:
        return Program(own)
    if not (DEBIAN / place).is_file():
        _unpack(name, PACKAGES[place])
    libraries = [str(file.parent) for file in sorted(DEBIAN.rglob("lib*.so*"))]
    return Program(str(DEBIAN / place), ":".join(dict.fromkeys(libraries)))


def require(*places: str) -> None:
    """Say loudly what a test of the bench lacks, or fail where it is required."""
    try:
        for each in places:
            program(each)
    except NotHere as error:
        (pytest.fail if IS_REQUIRED else pytest.skip)(f"NOT TESTED: the bench; {error}")


def _unpack(name: str, packages: tuple[str, ...]) -> None:
    try:
        unpack(DEBIAN, *packages)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotHere(
            f"{name} is missing, and apt-get did not fetch it. Try `apt-get update`, or install"
            f" {packages[0]} here: {error}"
        ) from error
