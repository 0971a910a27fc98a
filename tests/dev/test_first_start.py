"""A stranger's first start, with the app itself: python3, pip, an index, and nothing else.

Each Python installs the lock from the index, so these are the only tests that need a network.
"""

import os
import resource
import time
import urllib.request

import pytest

from tests.dev.checkout import Checkout, copy_project, end, words_until
from tests.dev.pythons import pythons
from tests.markers import night
from tests.servers.ports import free_port

INDEX_SETTINGS = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT", "REQUESTS_CA")


def serve(checkout: Checkout) -> float:
    """Start, read the front page, stop; return the seconds from the command to the page.

    On a machine that does other work: those that a core and a half of its own would have taken.
    """
    port, began, computed = free_port(), time.monotonic(), computed_by_children()
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
    return min(seconds, (computed_by_children() - computed) / 1.5)


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
    assert serve(checkout) < 60
    assert any(serve(checkout) < 3 for _ in range(3))
    keys = list((checkout.root / "var" / "keys").iterdir())
    assert {file.name for file in keys} == {"secret", "public", "private", "index"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in keys)
