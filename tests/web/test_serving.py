"""Requests as a real server brings them: idle, in octets that are no ASCII, failing."""

import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from belong_mail.ops.launcher import SERVER_LOGS
from tests.browser_client import Form
from tests.conftest import settings_for
from tests.markers import night
from tests.processes import ROOT, run
from tests.servers.ports import free_port
from tests.servers.site import Site, running
from tests.waiting import daemon

# Seconds; a page takes hundredths, and this machine may be busy.
PROMPT = 10.0
SECONDS = 30.0
FAILING = """
def app(environ, start):
    raise ValueError(environ["PATH_INFO"])
"""


def connect(port: int, words: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), SECONDS)
    connection.sendall(words.encode())
    return connection


def rest(connection: socket.socket) -> bytes:
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said


def asked(port: int, words: str) -> bytes:
    with connect(port, words) as connection:
        return rest(connection)


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def site(logs: Path, blank_sqlite) -> Iterator[Site]:
    """Serve one site for all that ask the product itself."""
    shutil.copy(blank_sqlite, logs / "belong.db")
    environment = settings_for(f"sqlite:///{logs / 'belong.db'}", logs / "state") | {
        "BELONG_SMTP_URL": "mailbox:",
        "BELONG_METRICS_TOKEN": "a token of more than 32 characters",
    }
    seeded = run(environment, "db", "upgrade", "--seed", "dps")
    assert seeded.returncode == 0, seeded.stderr
    with running(environment, logs, free_port()) as site:
        yield site


def test_idle_connections_hold_up_no_page(site):
    port = site.browser.port
    with ExitStack() as open_ones:
        for words in ("", "GET / HTTP/1.1\r\nHost: loc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            for _ in range(60):
                open_ones.enter_context(connect(port, words))
        for path in ("/", "/groups/the-village/join", "/static/belong.css"):
            begun = time.monotonic()
            assert site.browser.get(path).status_code == 200
            assert time.monotonic() - begun < PROMPT
        form = Form(site.browser.get("/contact").text).fields
        form |= {"message": "Where? ¿Dónde?", "topic": "need", "email": "ada@dpsk12.org"}
        begun = time.monotonic()
        assert site.browser.post("/contact", form).status_code == 303
        assert time.monotonic() - begun < PROMPT


@night("it waits for ten seconds")
@pytest.mark.parametrize("words", ["", "GET / HTTP/1.1\r\nHost: loc"])
def test_a_connection_that_asks_nothing_is_ended_after_ten_seconds(site, words):
    begun = time.monotonic()
    asked(site.browser.port, words)
    assert time.monotonic() - begun < 2 * PROMPT


def test_a_page_comes_as_the_app_makes_it(site):
    page = site.browser.get("/groups/the-village", {"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers.get_all("Content-Length") == [str(len(page.data))]
    head = site.browser.open("/groups/the-village", "HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert site.browser.get("/groups/%C3%B1").status_code == 404
    assert site.browser.post("/contact", {"message": "x" * 600_000}).status_code == 413
    foreign = {"Host": "evil.example", "X_Forwarded_For": "203.0.113.9"}
    assert site.browser.get("/", foreign).status_code == 400


def test_octets_that_are_no_ascii_are_answered_as_any_other(site, logs):
    """Programs send them bare; no page fails by it, and nothing is logged."""
    for url, header, status in (
        ("/?lang=ñ", "X-Name: é", b"200"),
        ("/ñ", "Accept-Language: ñ", b"404"),
        ("/metrics", "Authorization: Bearer Ω", b"404"),
        ("/sign-in?done=Ω", "Cookie: belong=Ω", b"200"),
    ):
        words = f"GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n\r\n"
        assert asked(site.browser.port, words).startswith(b"HTTP/1.1 " + status), url
    assert "Error" not in (logs / "web.log").read_text()


def test_an_app_that_fails_is_logged_without_the_url(tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    port, log = free_port(), tmp_path / "log"
    command = (sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port))
    found = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    words = "GET /fail/s3cret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with daemon(
        *command, "--log-config", SERVER_LOGS, "failing:app", ports=(port,), log=log, env=found
    ):
        answer = asked(port, words)
    assert answer.startswith(b"HTTP/1.1 500 ")
    said = log.read_text()
    assert "ERROR web: Application callable raised an exception" in said
    assert "s3cret" not in answer.decode() + said
