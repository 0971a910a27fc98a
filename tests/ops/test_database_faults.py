"""A database that cannot be used: each cause has a sentence of its own, which quotes nothing."""

import socket
import struct

import pytest

from tests.markers import on_sqlite
from tests.processes import run
from tests.servers.listening import Listener
from tests.servers.ports import free_port

pytestmark = on_sqlite
NAMED = "geheim"
URL = f"postgresql+psycopg://{NAMED}:{NAMED}@127.0.0.1:{{}}/{NAMED}?sslmode=disable"


def refusal(said: str) -> bytes:
    """Make an ErrorResponse (PostgreSQL's message formats, “E”)."""
    fields = b"".join(f"{name}{value}\0".encode() for name, value in (("S", "FATAL"), ("M", said)))
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"


class Refusing(Listener):
    """A PostgreSQL that refuses everyone in these words."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self._refusal = refusal(said)

    def converse(self, sock: socket.socket, _number: int) -> None:
        sock.recv(4096)
        sock.sendall(self._refusal)
        sock.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f'password authentication failed for user "{NAMED}"', "refuses the password"),
        (f'database "{NAMED}" does not exist', "has no database of that name"),
        (f'role "{NAMED}" does not exist', "does not know the user"),
        (f'no pg_hba.conf entry for host "127.0.0.1", user "{NAMED}"', "lets no one in from here"),
        ("the database system is shutting down", "does not answer"),
        ("canceling statement due to statement timeout", "took too long"),
        ("sorry, too many clients already", "has no connection left"),
        ("SSL error: certificate verify failed", "certificate cannot be checked"),
        ("something else", "Check BELONG_DATABASE_URL"),
    ],
)
def test_each_refusal_of_a_server_has_its_own_sentence(said, words, environment):
    with Refusing(said) as server:
        url = URL.format(server.port)
        ended = run({**environment, "BELONG_DATABASE_URL": url}, "group", "list")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: The database cannot be used (OperationalError")
    assert words in ended.stderr
    assert NAMED not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_server_that_is_stopped_does_not_answer(environment):
    url = URL.format(free_port())
    ended = run({**environment, "BELONG_DATABASE_URL": url}, "db", "check")
    assert ended.returncode == 1
    assert "The server does not answer" in ended.stderr
