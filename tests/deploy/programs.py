"""Programs of Debian's packages, where `python -m tests.deploy` unpacked them."""

import os
from pathlib import Path

import pytest

from tests.deploy.fetching import UNPACKED

IS_REQUIRED = os.environ.get("REQUIRE_DEPLOY") == "1"


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
