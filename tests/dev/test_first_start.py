"""A stranger's first start, with the app itself: python3, pip, an index, and nothing else.

Each Python installs the lock from the index, so these are the only tests that need a network.
"""

import os
import resource
import time
import urllib.request
from dataclasses import dataclass

import pytest

from tests.dev.checkout import Checkout, copy_project, end, words_until
from tests.dev.pythons import pythons
from tests.markers import night
from tests.servers.ports import free_port

INDEX_SETTINGS = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT", "REQUESTS_CA")


@dataclass
class Took:
    """Seconds from the command to the page: on the clock, and computed, by all processes."""

    seconds: float
    computed: float

    def is_within(self, seconds: float) -> bool:
        """Tell whether it took so long, or would have with one core and a half to itself."""
        return min(self.seconds, self.computed / 1.5) < seconds


def serve(checkout: Checkout) -> Took:
    """Start, read the front page, stop."""
    port = free_port()
    began, computed = time.monotonic(), computed_by_children()
    process = checkout.start("run", "--port", str(port))
    said = words_until(process, "Ctrl-C ends it.")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            page = answer.read().decode()
        seconds = time.monotonic() - began
    finally:
        said += end(process)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "/groups/the-village" in page
    return Took(seconds, computed_by_children() - computed)


def computed_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@night("installations")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", pythons())
def test_it_serves_within_a_minute_and_then_within_three_seconds(stranger, python):
    checkout = stranger(python)
    copy_project(checkout)
    checkout.env |= {
        name: value for name, value in os.environ.items() if name.upper().startswith(INDEX_SETTINGS)
    }
    assert serve(checkout).is_within(60)
    assert any(serve(checkout).is_within(3) for _ in range(3))
    keys = list((checkout.root / "var" / "keys").iterdir())
    assert {file.name for file in keys} == {"secret", "public", "private", "index"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in keys)
