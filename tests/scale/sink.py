"""A relay that is fast, speaks TLS, and writes each copy down before it says 250.

Run as a process of its own: `python -m tests.scale.sink HOST PORT CERTIFICATE FOLDER`. The ledger
has a line for each copy: digests of recipient and Message-ID, and the time. Email to staff is kept
whole, so that they can follow its links; newsletters are not.
"""

import asyncio
import hashlib
import os
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Addresses whose email is kept: those who join while an issue is sent. Members are at another
# domain.
KEPT = b"@dpsk12.org"
GREETING = b"220 relay ESMTP\r\n"
CAPABILITIES = b"250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 20000000\r\n"
OK, GO_ON, BYE = b"250 2.0.0 ok\r\n", b"354 go on\r\n", b"221 2.0.0 bye\r\n"
END = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Line:
    """A copy in the ledger."""

    recipient: str
    message: str
    at: float


def digest_of(words: bytes) -> str:
    """Return what stands in the ledger for an address or a Message-ID."""
    return hashlib.sha256(words.lower()).hexdigest()[:24]


def read(folder: Path) -> list[Line]:
    """Return what the relay took, oldest first."""
    lines = (each.split() for each in (folder / "ledger").read_text().splitlines())
    return [Line(recipient, message, float(at)) for recipient, message, at in lines]


def copies(folder: Path) -> int:
    """Count what the relay took, without reading it."""
    file = folder / "ledger"
    return file.stat().st_size // LINE if file.exists() else 0


def letters(folder: Path, address: str) -> list[bytes]:
    """Return what was kept for somebody, oldest first."""
    found = (folder / "letters").glob(f"{digest_of(address.encode())}-*")
    return [file.read_bytes() for file in sorted(found, key=lambda file: file.stat().st_mtime_ns)]


def _line(recipient: bytes, message: bytes, at: float) -> bytes:
    return f"{digest_of(recipient)} {digest_of(message)} {at:017.6f}\n".encode()


LINE = len(_line(b"", b"", 0.0))


class Conversation(asyncio.Protocol):
    """One connection: commands may come many at a time (RFC 2920)."""

    def __init__(self, ledger: int, folder: Path) -> None:
        self._ledger, self._folder = ledger, folder
        self._buffer = bytearray()
        self._recipients: list[bytes] = []
        self._is_data = False
        self._looked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = bytearray()
        while (answer := self._take()) is not None:
            answers += answer
        if answers:
            self._transport.write(answers)
        if answers.endswith(BYE):
            self._transport.close()

    def _take(self) -> bytes | None:
        """Take the next command or message; None: it is not whole yet."""
        end, found = (END, self._looked) if self._is_data else (b"\r\n", 0)
        at = self._buffer.find(end, found)
        if at < 0:
            self._looked = max(0, len(self._buffer) - len(END))
            return None
        taken = bytes(self._buffer[:at])
        del self._buffer[: at + len(end)]
        self._looked = 0
        return self._keep(taken) if self._is_data else self._obey(taken)

    def _obey(self, command: bytes) -> bytes:
        verb = command[:4].upper()
        if verb == b"RCPT":
            self._recipients.append(command[command.index(b"<") + 1 : command.rindex(b">")])
        elif verb in {b"MAIL", b"RSET"}:
            self._recipients = []
        elif verb == b"DATA":
            self._is_data = True
        return {b"EHLO": CAPABILITIES, b"DATA": GO_ON, b"QUIT": BYE}.get(verb, OK)

    def _keep(self, message: bytes) -> bytes:
        """Write a message down before its sender hears that we have it."""
        self._is_data = False
        start = message.lower().index(b"\nmessage-id:") + len(b"\nmessage-id:")
        message_id, at = message[start : message.index(b"\r\n", start)].strip(), time.time()
        for each in self._recipients:
            if each.endswith(KEPT):
                name = f"{digest_of(each)}-{time.time_ns()}"
                (self._folder / "letters" / name).write_bytes(message.replace(b"\r\n..", b"\r\n."))
        lines = [_line(each, message_id, at) for each in self._recipients]
        os.write(self._ledger, b"".join(lines))
        return OK


async def serve(host: str, port: int, certificate: str, folder: Path) -> None:
    """Take mail until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    (folder / "letters").mkdir(exist_ok=True)
    ledger = os.open(folder / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(ledger, folder), host, port, ssl=context)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    host, port, certificate, folder = sys.argv[1:]
    asyncio.run(serve(host, int(port), certificate, Path(folder)))
