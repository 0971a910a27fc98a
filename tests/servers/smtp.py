"""A mail server that speaks SMTP as it is told to: well, late, half, or not at all."""

import socket
import ssl
from collections.abc import Mapping
from typing import Literal

from tests.servers.actions import Say, drip, drop, hang, reset, write
from tests.servers.conversation import EXTENSIONS, Conversation, Manners
from tests.servers.desk import Accepted, Desk

__all__ = ["Accepted", "Say", "Server", "drip", "drop", "hang", "reset", "write"]


class Server(Desk):
    def __init__(
        self,
        *,
        tls: Literal["none", "starttls", "implicit"] = "none",
        context: ssl.SSLContext | None = None,
        extensions: tuple[str, ...] = EXTENSIONS,
        users: dict[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        bearers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.manners = Manners(tls, context, extensions, users or {}, mechanisms, bearers)

    def keep_little(self) -> None:
        """Let the kernel keep only 64 KB of what was sent and is not read yet."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    def converse(self, sock: socket.socket) -> None:
        Conversation(self, self.manners, sock).run()
