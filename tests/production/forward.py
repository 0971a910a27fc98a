"""A port that leads to a Unix socket: PostgreSQL of the tests has none, in a closed folder."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Forward:
    """Hands each connection on; listens within `with`."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._open += (near, far)
            for source, target in ((near, far), (far, near)):
                self._threads.append(threading.Thread(target=_copy, args=(source, target)))
                self._threads[-1].start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, and in the end that nothing more will."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
