"""Used by the tests of deploy/ beside Python: unpacked from Debian's packages, never installed."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.relays.debian import unpack

FOLDER = Path(__file__).resolve().parents[2] / "var" / "deploy"
UNPACKED = FOLDER / "root"
PACKAGES = ("caddy", "mmdebstrap", "promtool")
IS_REQUIRED = os.environ.get("REQUIRE_DEPLOY") == "1"
# A mirror may be away for a moment; so it is asked again.
RETRIES = 'Acquire::Retries "5";'
# Stand-ins for the image that deploy/Dockerfile begins with, by its release.
BASES = {"13": "trixie"}


def base(suite: str) -> Path:
    return FOLDER / suite


def fetch() -> None:
    """Download and unpack what is not there, and make a bare Debian; nothing starts."""
    missing = [each for each in PACKAGES if not (UNPACKED / "usr/bin" / each).exists()]
    if missing:
        unpack(UNPACKED, *missing)
    for suite in BASES.values():
        if not base(suite).exists():
            part = base(f"{suite}.part")
            subprocess.run(["rm", "-rf", part], check=True)
            make = f"{UNPACKED}/usr/bin/mmdebstrap"
            options = ["--variant=minbase", "--mode=root", f"--aptopt={RETRIES}"]
            subprocess.run([make, *options, suite, part], check=True)
            part.rename(base(suite))


def program(name: str) -> Path:
    """Return a program's file; without it say so loudly, or fail where it is required."""
    file = UNPACKED / "usr/bin" / name
    if not file.exists():
        leave_out(name)
    return file


def leave_out(what: str) -> None:
    """Fail where it is required, else skip the test."""
    said = f"NOT TESTED: deploy/ by {what}, which `python -m tests.deploy` fetches"
    (pytest.fail if IS_REQUIRED else pytest.skip)(said)
