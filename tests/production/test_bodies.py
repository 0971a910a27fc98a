"""Forms as they come to the proxy: slow, cut short, too long; and a stop meanwhile."""

import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from select import select as wait_for

import pytest
from sqlalchemy import func, select

from belong_mail.contact.models import ContactMessage
from tests.browser_client import Form, Visitor
from tests.deploy import caddy
from tests.markers import night, one_by_day
from tests.production.stage import OUR_OWN_FORM

pytestmark = pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
UNFINISHED = 400
MEGABYTE = 1_000_000
# Seconds in which a page comes, while this machine may be busy.
PROMPT = 10.0
SENTENCE = {
    "en": ("That’s too long to send", "Select your browser’s Back button"),
    "es": (
        "Es demasiado largo para enviarlo",
        "Presiona el botón Atrás de tu navegador",
    ),
}
HALF_A_FORM = (
    "POST /contact HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
)


class Proxied:
    """A proxy before the stage's web, and what visits it."""

    def __init__(self, stage, port: int) -> None:
        self.stage, self.port = stage, port
        self.context = ssl.create_default_context(cafile=stage.authority.file)

    def visitor(self) -> Visitor:
        return self.stage.visitor(self.port)

    def connect(self, words: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        connection = self.context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(words.encode())
        return connection


@pytest.fixture(params=["nginx", "caddy"])
def proxied(request, stage, tmp_path) -> Iterator[Proxied]:
    if request.param == "nginx":
        yield Proxied(stage, stage.port)
        return
    with caddy.running(tmp_path, stage.authority, stage.web_port) as running:
        yield Proxied(stage, running.port)


def messages(stage) -> int:
    with stage.session() as session:
        return session.scalar(select(func.count(ContactMessage.id))) or 0


def write(visitor) -> int:
    form = {"topic": "need", "message": "Where? ¿Dónde?"}
    return int(visitor.send("/contact", **form).status_code)


@night("installations")
def test_forms_whose_bodies_never_end_keep_nobody_out(proxied):
    """By far more than there are threads: four were enough without a proxy that waits for them."""
    with ExitStack() as all_open:
        for number in range(UNFINISHED):
            length = 5 * MEGABYTE if number % 2 else 100
            words = HALF_A_FORM.format(length=length, body="message=x")
            all_open.enter_context(proxied.connect(words))
        visitor = proxied.visitor()
        for path in ("/", "/groups/the-village/join", "/static/belong.css"):
            begun = time.monotonic()
            assert visitor.open(path).status_code == 200
            assert time.monotonic() - begun < PROMPT
        proxied.stage.forget_limits()
        assert write(visitor) in {200, 303}


@one_by_day("installations")
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("size", [50 * MEGABYTE, 5 * MEGABYTE, MEGABYTE])
def test_a_form_that_is_too_long_gets_the_sites_own_page(proxied, language, size):
    """From the proxy above 16 MB, else from the web: a sentence with what the reader can do."""
    status, page = answer_to_a_long_form(proxied, f"/contact?lang={language}", size)
    assert status.startswith("HTTP/1.1 413 ")
    for words in SENTENCE[language]:
        assert words in page


def answer_to_a_long_form(proxied, url: str, size: int) -> tuple[str, str]:
    """Send on while the answer is read, as browsers do; a proxy may end a body that it refuses."""
    head = f"POST {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in OUR_OWN_FORM.items())
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {size}\r\n\r\n"
    with proxied.connect(head + "message=") as connection:
        said = exchange(connection, size - len("message="))
    head, _, page = said.decode().partition("\r\n\r\n")
    return head, page


def exchange(connection: ssl.SSLSocket, left: int) -> bytes:
    """Send so many octets in turn with reading: two threads may not share a connection of TLS."""
    said = b""
    connection.settimeout(0)
    with suppress(ConnectionError):
        while True:
            wait_for([connection], [connection] if left else [], [], PROMPT)
            if left:
                try:
                    left -= connection.send(b"x" * min(10_000, left))
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
                except OSError:
                    left = 0
            with suppress(ssl.SSLWantReadError):
                while piece := connection.recv(65536):
                    said += piece
                return said
    return said


@one_by_day("a second proxy")
def test_a_form_that_is_cut_short_does_nothing(proxied):
    before = messages(proxied.stage)
    token = Form(proxied.visitor().open("/contact").text).fields["csrf_token"]
    body = f"csrf_token={token}&topic=need&message=half+of+"
    for _ in range(3):
        with proxied.connect(HALF_A_FORM.format(length=len(body) + 20, body=body)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    proxied.stage.forget_limits()
    assert write(proxied.visitor()) in {200, 303}
    assert messages(proxied.stage) == before + 1


@one_by_day("a second proxy")
def test_a_request_that_runs_at_sigterm_ends_well(proxied):
    """A form waits for SQLite's lock while the web is told to stop: it is stored and answered."""
    stage, answers = proxied.stage, []
    before = messages(stage)
    stage.forget_limits()
    visitor = proxied.visitor()
    file = stage.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        form = threading.Thread(target=lambda: answers.append(write(visitor)))
        form.start()
        time.sleep(2)
        stage.processes["web"].terminate()
        time.sleep(2)
        assert answers == []
        connection.execute("ROLLBACK")
    form.join()
    try:
        assert stage.processes["web"].wait(30) == 0
    finally:
        stage.start("web")
        stage.wait_for(lambda: stage.visitor().open("/readyz").status_code == 200)
    assert answers[0] in {200, 303}
    assert messages(stage) == before + 1
