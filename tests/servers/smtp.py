"""A mail server that speaks SMTP as it is told to: well, late, half, or not at all."""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal, Self

from tests.servers.actions import Say, drip, drop, hang, reset, write
from tests.servers.conversation import Conversation
from tests.servers.desk import Accepted, Desk
from tests.servers.ledger import Ledger
from tests.servers.manners import EXTENSIONS, Manners

__all__ = ["Accepted", "Say", "Server", "drip", "drop", "hang", "reset", "write"]


class Server(Desk):
    """Listens on a free port of 127.0.0.1 between `start` and `stop` (or within `with`)."""

    def __init__(
        self,
        *,
        tls: Literal["none", "starttls", "implicit"] = "none",
        context: ssl.SSLContext | None = None,
        extensions: tuple[str, ...] = EXTENSIONS,
        users: dict[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        bearers: Mapping[str, str] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__(ledger)
        self.manners = Manners(tls, context, extensions, users or {}, mechanisms, bearers)
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def keep_little(self) -> None:
        """Let the kernel keep only 64 KB of what was sent and is not read yet."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self.connections += 1
            conversation = Conversation(self, self.manners, sock, self.connections)
            threading.Thread(target=conversation.run, daemon=True).start()
