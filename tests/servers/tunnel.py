"""A way to a PostgreSQL server on which packets can get lost: it looks up, and nothing comes."""

import socket
import threading
from contextlib import suppress
from typing import Self

from sqlalchemy import URL, make_url

AT_ONCE = 65536
LOOK_EVERY = 0.05


class Tunnel:
    """Carries bytes between a port and a server, until it swallows them."""

    def __init__(self, url: str, listener: socket.socket | None = None) -> None:
        self._target = make_url(url)
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._is_open = threading.Event()
        self._is_open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._has_ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._welcome, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended = True
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        query = {name: value for name, value in self._target.query.items() if name != "host"}
        host, port = self._listener.getsockname()
        way = self._target.set(host=host, port=port, query=query)
        return way.render_as_string(hide_password=False)

    def swallow(self) -> None:
        """Carry nothing from now on; connections open, and are silent."""
        self._is_open.clear()

    def carry(self) -> None:
        """Carry again what comes now; the old connections have been forgotten meanwhile."""
        self.cut()
        self._is_open.set()

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = _dial(self._target)
                self._pairs.append((client, server))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), source, sink:
            while data := source.recv(AT_ONCE):
                while not self._is_open.wait(LOOK_EVERY):
                    if self._has_ended or sink.fileno() < 0:
                        return
                sink.sendall(data)


def _dial(target: URL) -> socket.socket:
    """Connect to a server by TCP or by the folder of its socket."""
    host, port = str(target.query.get("host", target.host or "")), target.port or 5432
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server
