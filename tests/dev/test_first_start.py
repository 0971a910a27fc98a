"""A stranger's first start, with the app itself: python3, pip, an index, and nothing else.

Each Python installs the lock from the index, so these are the only tests that need a network.
"""

import os
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dev.checkout import Checkout, copy_project, end, free_port
from tests.dev.wheels import pythons

INDEX_SETTINGS = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT", "REQUESTS_CA")


def seconds_to_serve(checkout: Checkout) -> float:
    """Start, read the front page, stop; return how long it took until the page was there."""
    port = free_port()
    began = time.monotonic()
    process = checkout.start("run", "--port", str(port))
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "Ctrl-C ends it.\n"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            page = answer.read().decode()
        took = time.monotonic() - began
    finally:
        said += end(process)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "/groups/the-village" in page
    return took


@pytest.mark.parametrize("python", pythons())
def test_it_serves_within_a_minute_and_then_within_three_seconds(
    stranger: Callable[[str], Checkout], python: str
) -> None:
    checkout = stranger(python)
    copy_project(checkout)
    checkout.env |= {
        name: value for name, value in os.environ.items() if name.upper().startswith(INDEX_SETTINGS)
    }
    assert seconds_to_serve(checkout) < 60
    assert min(seconds_to_serve(checkout) for _ in range(3)) < 3
    assert_keys_are_private(checkout.root / "var" / "keys")


def assert_keys_are_private(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} == {"secret", "public", "private", "index"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
