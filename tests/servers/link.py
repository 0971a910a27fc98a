"""A link that takes its time: each chunk of bytes is held so long in each direction.

Run as a process of its own: PORT TARGET SECONDS [FILE]. The target is a port, or the path of a
socket. The file gets a byte for each round trip: the near side speaks after an answer.
"""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import make_url

from tests.servers.ports import free_port
from tests.waiting import daemon

ROOT = Path(__file__).resolve().parents[2]


class End(asyncio.Protocol):
    def __init__(self, delay: float, other: "End | None" = None) -> None:
        self._delay = delay
        self._other = other
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        for data in self._early:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Pass it on when its time has come; acknowledge at once, or a sink would wait for that."""
        assert self._transport is not None
        own: Any = self._transport.get_extra_info("socket")
        if hasattr(socket, "TCP_QUICKACK") and own.family == socket.AF_INET:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if self._other is not None:
            self.loop.call_later(self._delay, self._other.write, data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._other is not None:
            self.loop.call_later(self._delay, self._other.close)

    def join(self, other: "End") -> None:
        self._other = other

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Near(End):
    """The side that a sender connects to; it opens the far side."""

    def __init__(self, delay: float, target: str, trips: Path | None) -> None:
        far = End(delay, self)
        super().__init__(delay, far)
        self._trips = trips
        self._is_answered = True
        opening: Any = (
            self.loop.create_connection(lambda: far, "127.0.0.1", int(target))
            if target.isdigit()
            else self.loop.create_unix_connection(lambda: far, target)
        )
        self._opening = self.loop.create_task(opening)

    def data_received(self, data: bytes) -> None:
        if self._is_answered and self._trips is not None:
            with self._trips.open("ab") as file:
                file.write(b".")
        self._is_answered = False
        super().data_received(data)

    def write(self, data: bytes) -> None:
        self._is_answered = True
        super().write(data)


async def serve(port: int, target: str, delay: float, trips: Path | None) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Near(delay, target, trips), "127.0.0.1", port
    )
    await server.serve_forever()


def command(port: int, target: str, round_trip: float) -> list[str]:
    """Return what runs a link that takes so many seconds there and back."""
    return [sys.executable, "-m", __name__, str(port), target, str(round_trip / 2)]


@contextmanager
def far_database(url: str, round_trip: float, trips: Path | None = None) -> Iterator[str]:
    """Yield the URL of a PostgreSQL database behind a link that takes so long there and back.

    A file gets a byte for each round trip.
    """
    port, near = free_port(), make_url(url)
    folder = str(near.query.get("host", near.host or ""))
    is_file = folder.startswith("/")
    target = f"{folder}/.s.PGSQL.{near.port or 5432}" if is_file else str(near.port or 5432)
    running = command(port, target, round_trip) + ([str(trips)] if trips else [])
    with daemon(*running, ports=(port,), cwd=ROOT):
        far = near.set(host="127.0.0.1", port=port).difference_update_query(["host", "port"])
        yield far.render_as_string(hide_password=False)


if __name__ == "__main__":
    _, port, target, delay, *files = sys.argv
    asyncio.run(serve(int(port), target, float(delay), Path(files[0]) if files else None))
