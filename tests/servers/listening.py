"""Listen on a free port of 127.0.0.1, with a thread for each conversation."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Listener:
    """Listens between `start` and `stop`, or within `with`; `converse` talks over a connection."""

    def __init__(self) -> None:
        self.connections = 0
        self.stopping = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def converse(self, sock: socket.socket) -> None:
        raise NotImplementedError

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
            threading.Thread(target=self.converse, args=[sock], daemon=True).start()
