"""Requests as a real server brings them: slow, cut short, too long, idle."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.browser_client import Form
from tests.conftest import KEYS
from tests.processes import ROOT, run
from tests.servers.ports import free_port
from tests.servers.site import Site, running

# Seconds; a page takes hundredths, and this machine may be busy.
PROMPT = 10.0
SECONDS = 30.0
# Octets of a file that is by far longer than what a process may hold.
LONG = 128 * 1024 * 1024
ECHO = """
import re, tempfile
from pathlib import Path

from belong_mail.web.server import Server

def echo(environ, start):
    if environ["PATH_INFO"] == "/memory":
        start("200 OK", [])
        return [re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1].encode()]
    if environ["PATH_INFO"].startswith("/file/"):
        file, size = tempfile.TemporaryFile(), int(environ["PATH_INFO"].rpartition("/")[2])
        file.truncate(size)
        start("200 OK", [("Content-Length", str(size))])
        return environ["wsgi.file_wrapper"](file)
    start("200 OK", [("X-Name", environ.get("HTTP_X_NAME", ""))])
    path = environ["PATH_INFO"].encode("latin-1")
    if path.startswith(b"/fail"):
        raise ValueError(path)
    return [environ["REQUEST_METHOD"].encode(), b" ", path, b" ", environ["wsgi.input"].read()]

serve = Server(echo, seconds=1, longer=1)
"""
UNFINISHED = "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\nx"


def connect(port: int, words: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), SECONDS)
    connection.sendall(words.encode())
    return connection


def rest(connection: socket.socket) -> bytes:
    """Return all that a server says until it closes the connection."""
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said


def asked(port: int, words: str) -> bytes:
    with connect(port, words) as connection:
        return rest(connection)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def site(logs: Path, blank_sqlite: Path) -> Iterator[Site]:
    """Serve one site for all that ask the product itself."""
    shutil.copy(blank_sqlite, logs / "belong.db")
    environment = {
        **{f"BELONG_{kind.upper()}_KEYS": key for kind, key in KEYS.items()},
        "BELONG_BASE_URL": "http://localhost:5000",
        "BELONG_DATABASE_URL": f"sqlite:///{logs / 'belong.db'}",
        "BELONG_SMTP_URL": "mailbox:",
        "BELONG_STATE_FOLDER": str(logs / "state"),
        "BELONG_METRICS_TOKEN": "a token of more than 32 characters",
    }
    seeded = run(environment, "db", "upgrade", "--seed", "dps")
    assert seeded.returncode == 0, seeded.stderr
    with running(environment, logs, free_port()) as site:
        yield site


def test_unfinished_forms_and_idle_connections_hold_up_no_page(site: Site) -> None:
    """By far more than there are threads: four were enough."""
    port = site.browser.port
    with ExitStack() as open_ones:
        for path, length in (("/contact", 100), ("/lead/newsletters/x/pictures", 5_000_000)):
            for _ in range(20):
                words = UNFINISHED.format(path=path, length=length)
                open_ones.enter_context(connect(port, words))
        for words in ("", "GET / HTTP/1.1\r\nHost: loc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            for _ in range(60):
                open_ones.enter_context(connect(port, words))
        for path in ("/", "/groups/the-village/join", "/static/belong.css"):
            begun = time.monotonic()
            page = site.browser.get(path)
            assert page.status_code == 200
            assert time.monotonic() - begun < PROMPT
        form = Form(site.browser.get("/contact").text).fields
        form |= {"message": "Where? ¿Dónde?", "topic": "need", "email": "ada@dpsk12.org"}
        begun = time.monotonic()
        assert site.browser.post("/contact", form).status_code == 303
        assert time.monotonic() - begun < PROMPT


def test_a_page_comes_as_the_app_makes_it(site: Site) -> None:
    page = site.browser.get("/groups/the-village", {"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers.get_all("Content-Length") == [str(len(page.data))]
    head = site.browser.open("/groups/the-village", "HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert site.browser.get("/groups/%C3%B1").status_code == 404
    assert site.browser.post("/contact", {"message": "x" * 300_000}).status_code == 413
    foreign = {"Host": "evil.example", "X_Forwarded_For": "203.0.113.9"}
    assert site.browser.get("/", foreign).status_code == 400


def test_octets_that_are_no_ascii_are_answered_as_any_other(site: Site, logs: Path) -> None:
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


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("echo") / "log"


@pytest.fixture(scope="module")
def echo(log: Path) -> Iterator[int]:
    """The port at which granian serves what it is asked, and waits for a body for one second."""
    folder, port = log.parent, free_port()
    (folder / "echo.py").write_text(ECHO)
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--http", "1", "--no-ws"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "warning", "echo:serve"],
            cwd=folder,
            env={"PYTHONPATH": f"{ROOT}:{folder}"},
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            return connect(port, "").close()
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise TimeoutError


@pytest.mark.parametrize(
    ("path", "length"), [("/contact", 2), ("/x/pictures", 2), ("/x/pictures", 5_000_000)]
)
def test_a_body_that_does_not_come_is_given_up_and_its_connection_closed(
    echo: int, path: str, length: int
) -> None:
    with ExitStack() as all_open:
        words = UNFINISHED.format(path=path, length=length)
        waiting = [all_open.enter_context(connect(echo, words)) for _ in range(5)]
        for connection in waiting:
            said = rest(connection)
            assert said.startswith(b"HTTP/1.1 408 ")
            assert b"not finished in time" in said


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_long_file_is_sent_from_the_disk_as_it_is_taken(echo: int, version: str) -> None:
    """Also in HTTP/1.0, as nginx asks; who takes it slowly costs neither memory nor a thread."""
    asks = f"GET /file/{LONG} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    slow = [connect(echo, asks) for _ in range(4)]
    assert all(each.recv(64, socket.MSG_PEEK).startswith(b"HTTP/1.") for each in slow)
    memory = "GET /memory HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    kilobytes = int(asked(echo, memory).rpartition(b"\r\n\r\n")[2])
    assert kilobytes * 1024 < LONG
    with slow[0] as connection:
        head, _, begun = connection.recv(65536).partition(b"\r\n\r\n")
        assert f"content-length: {LONG}".encode() in head.lower()
        taken = len(begun)
        while piece := connection.recv(1_000_000):
            taken += len(piece)
        assert taken == LONG
    for each in slow[1:]:
        each.close()


def test_a_short_file_comes_with_its_answer(echo: int) -> None:
    asks = "GET /file/70000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert asked(echo, asks).partition(b"\r\n\r\n")[2] == bytes(70000)


def test_who_sends_a_drop_now_and_then_gets_no_more_time(echo: int) -> None:
    with connect(echo, UNFINISHED.format(path="/x", length=100_000)) as connection:
        connection.settimeout(0.2)
        said, until = b"", time.monotonic() + SECONDS
        while not said and time.monotonic() < until:
            connection.send(b"x")
            try:
                said = connection.recv(65536)
            except TimeoutError:
                continue
    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_form_that_is_cut_short_does_nothing(echo: int) -> None:
    with connect(echo, UNFINISHED.format(path="/x", length=2)) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection).startswith(b"HTTP/1.1 400 ")
    chunked = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n"
    assert asked(echo, chunked).startswith(b"HTTP/1.1 411 ")


def test_a_whole_body_and_the_path_reach_the_app_and_no_header_poses_as_another(echo: int) -> None:
    said = asked(
        echo,
        "POST /a%20%C3%B1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n"
        "X-Name: one\r\nX_Name: two\r\n\r\nwhole",
    )
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith("\r\n\r\nPOST /a ñ whole".encode())
    assert b"x-name: one\r\n" in said


def test_an_app_that_fails_is_logged_without_the_url(echo: int, log: Path) -> None:
    answer = asked(echo, "GET /fail/s3cret HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    said = log.read_text()
    assert "ValueError at echo:" in said
    assert "s3cret" not in answer.decode() + said
    assert "Traceback" not in said
