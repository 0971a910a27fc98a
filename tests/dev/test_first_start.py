"""A stranger's first start, with the app itself: python3, pip, an index, and nothing else.

Each Python installs the lock from the index, so these are the only tests that need a network.
"""

import os
import urllib.request

import pytest

from tests.dev.checkout import Checkout, copy_project, end, pythons, words_until
from tests.markers import night
from tests.servers.ports import free_port

INDEX_SETTINGS = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT", "REQUESTS_CA")


def serve(checkout: Checkout) -> str:
    """Start, read the front page, stop; return what was said."""
    port = free_port()
    process = checkout.start("run", "--port", str(port))
    said = words_until(process, "Ctrl-C ends it.")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            page = answer.read().decode()
    finally:
        said += end(process)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "/groups/the-village" in page
    return said


@night("installations")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", pythons())
def test_it_serves_and_installs_only_the_first_time(tmp_path, python):
    checkout = Checkout(tmp_path, python)
    copy_project(checkout)
    checkout.env |= {
        name: value for name, value in os.environ.items() if name.upper().startswith(INDEX_SETTINGS)
    }
    assert ["Setting up" in serve(checkout) for _ in range(2)] == [True, False]
    keys = list((checkout.root / "var" / "keys").iterdir())
    assert {file.name for file in keys} == {"secret", "public", "private", "index"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in keys)
