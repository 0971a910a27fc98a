"""Serve the pages over RSGI: the body of a form is read within a time, before a thread is taken.

Granian's own WSGI reads it inside a thread, and waits for ever: four forms that are never finished
stopped the site.
"""

import asyncio
import io
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from traceback import walk_tb
from typing import IO, TYPE_CHECKING, Any, Final, Protocol
from wsgiref.types import WSGIApplication, WSGIEnvironment

from belong_mail.core import logs

if TYPE_CHECKING:
    from granian.rsgi import Scope

# Octets that are read for any page.
MAX_BODY: Final = 256 * 1024
# Octets that are read where pictures and flyers are taken.
MAX_UPLOAD: Final = 16 * 1024 * 1024
UPLOAD_PATHS: Final = ("/pictures", "/flyers", "/import")
# How many longer bodies a process reads at a time; others wait, within their seconds.
UPLOADS: Final = 2
BODY_SECONDS: Final = 20.0
UPLOAD_SECONDS: Final = 120.0
THREADS: Final = 2
# A file of so many octets is sent from the disk; what is smaller comes with the answer.
MIN_SENT_FILE: Final = 1024 * 1024
# Seconds after which granian has opened a file long since, and we may close ours.
FILE_SECONDS: Final = 60.0
# Where a process finds its own open files by number.
OPEN_FILES: Final = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112
MOST_FRAMES: Final = 12


CLOSING: Final = [
    ("content-type", "text/plain; charset=utf-8"),
    ("cache-control", "no-store"),
    ("connection", "close"),
]


log = logging.getLogger(__name__)


class BodyIncomplete(Exception):
    """A body did not come whole: says the status, and in words why."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Exchange(Protocol):
    """A request's body, piece by piece, and its one answer."""

    def __aiter__(self) -> Any: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...
    def response_file(self, status: int, headers: list[tuple[str, str]], file: str) -> None: ...


class SentFile:
    """A file that an app answers with (PEP 3333, wsgi.file_wrapper): whole, from its beginning."""

    def __init__(self, file: IO[bytes], block_size: int = 64 * 1024) -> None:
        self.file, self._block_size = file, block_size

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self.file.read, self._block_size), b"")

    def close(self) -> None:
        self.file.close()

    @property
    def path(self) -> str:
        """Return where this process opens the file again; it need not have a name."""
        return f"{OPEN_FILES}/{self.file.fileno()}"


class Server:
    """Answers requests with a WSGI app, of which a few threads at a time run it."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        seconds: float = BODY_SECONDS,
        longer: float = UPLOAD_SECONDS,
        log_format: str = logs.TEXT,
    ) -> None:
        self._app, self._log_format = app, log_format
        self._seconds, self._longer = seconds, longer
        self._threads = ThreadPoolExecutor(THREADS, "pages")
        self._uploads = asyncio.Semaphore(UPLOADS)

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """Begin, in a process of granian's."""
        logs.configure(self._log_format, "web")
        logs.event(log, logging.INFO, "started", process=os.getpid())

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        logs.event(log, logging.INFO, "stopped", process=os.getpid())

    async def __rsgi__(self, scope: "Scope", exchange: Exchange) -> None:
        if scope.proto != "http":
            return
        environ = environ_of(scope)
        try:
            body = await self._body(environ, exchange)
        except BodyIncomplete as refusal:
            exchange.response_bytes(refusal.status, CLOSING, f"{refusal}\n".encode())
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["wsgi.file_wrapper"] = SentFile
        run = partial(answer, self._app, environ)
        loop = asyncio.get_running_loop()
        try:
            status, headers, content = await loop.run_in_executor(self._threads, run)
        except Exception as error:  # noqa: BLE001 - granian would log it with its values
            log.error("%s at %s", type(error).__name__, frames_of(error))  # noqa: TRY400
            status, headers, content = 500, CLOSING, b"Something went wrong on our side.\n"
        if isinstance(content, SentFile):
            loop.call_later(FILE_SECONDS, content.close)
            exchange.response_file(status, headers, content.path)
        else:
            exchange.response_bytes(status, headers, content)

    async def _body(self, environ: WSGIEnvironment, exchange: Exchange) -> bytes:
        """Read a body in time, or raise Unfinished; what is too long stays unread, for the app."""
        if "HTTP_TRANSFER_ENCODING" in environ:  # its end cannot be told from a connection's
            raise BodyIncomplete(411, "The request does not say its length.")
        given = environ.get("CONTENT_LENGTH", "")
        length = int(given) if given.isdecimal() else 0
        is_upload = environ["PATH_INFO"].endswith(UPLOAD_PATHS) and length > MAX_BODY
        if not 0 < length <= (MAX_UPLOAD if is_upload else MAX_BODY):
            return b""
        try:
            if not is_upload:
                return await asyncio.wait_for(_read(exchange, length), self._seconds)
            async with asyncio.timeout(self._longer), self._uploads:
                return await _read(exchange, length)
        except TimeoutError as error:
            raise BodyIncomplete(408, "The request was not finished in time.") from error


def frames_of(error: BaseException) -> str:
    """Name the lines through which an error came, the last first, without any value."""
    frames = [
        f"{frame.f_globals.get('__name__')}:{line}" for frame, line in walk_tb(error.__traceback__)
    ]
    return " < ".join(frames[: -MOST_FRAMES - 1 : -1])


async def _read(exchange: Exchange, length: int) -> bytes:
    """Read a body of a length, or raise Unfinished where the connection ended before."""
    body = bytearray()
    async for piece in exchange:
        body += piece
    if len(body) != length:
        raise BodyIncomplete(400, "The request was not finished.")
    return bytes(body)


def environ_of(scope: "Scope") -> WSGIEnvironment:
    """Describe a request as PEP 3333 has it, without its body."""
    host, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": as_octets(scope.path),
        "QUERY_STRING": as_octets(scope.query_string),
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():  # granian leaves out those that are no ASCII
        if "_" in name:  # it would pass for another, such as a proxy's
            continue
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"
        between = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{between}{value}" if key in environ else value
    return environ


def as_octets(text: str) -> str:
    """Return a text as PEP 3333 has it: each octet of its UTF-8 as a character."""
    return text.encode().decode("latin-1")


def answer(
    app: WSGIApplication, environ: WSGIEnvironment
) -> tuple[int, list[tuple[str, str]], bytes | SentFile]:
    """Run a WSGI app to the end of its answer: our pages are small.

    A large file is handed on as it is: granian reads it as fast as somebody takes it.
    """
    started: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        started[:] = [int(status.split(" ", 1)[0]), headers]
        return lambda _piece: None

    pieces: Iterable[bytes] = app(environ, start)
    if isinstance(pieces, SentFile) and os.fstat(pieces.file.fileno()).st_size >= MIN_SENT_FILE:
        return started[0], _lower(started[1]), pieces
    try:
        content = b"".join(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    return started[0], _lower(started[1]), content


def _lower(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]
