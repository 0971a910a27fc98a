"""A link that takes its time: each chunk of bytes is held so long in each direction.

Run as a process of its own: PORT TARGET_PORT SECONDS.
"""

import asyncio
import socket
import sys
from typing import Any, cast


class End(asyncio.Protocol):
    """One side of a connection; hands what comes to the other side, later."""

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
        if hasattr(socket, "TCP_QUICKACK"):
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

    def __init__(self, delay: float, target: int) -> None:
        far = End(delay, self)
        super().__init__(delay, far)
        self._opening = self.loop.create_task(
            self.loop.create_connection(lambda: far, "127.0.0.1", target)
        )


async def serve(port: int, target: int, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Near(delay, target), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
