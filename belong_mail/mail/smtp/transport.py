"""Transports: the relay named by a URL, and a folder for development."""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from belong_mail.mail.message.mime import Envelope
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.protocol import WELCOME, MessageSource, RunSession
from belong_mail.mail.smtp.session import SmtpPipeline, SmtpSession

# Seconds that a thread without a connection waits for work.
WORK_WAIT_SECONDS: Final = 60.0
_PORTS: Final = {"smtp": 587, "smtps": 465, "lmtp": 24}
_QUERY: Final = frozenset({"connections", "pipelining", "ca", "timeout", "dot_timeout", "tls"})
_TRUTHS: Final = {"on": True, "1": True, "yes": True, "off": False, "0": False, "no": False}
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class InvalidRelay(ValueError):
    """The relay's URL cannot be used. Says what is wrong, never the password."""


class Transport(Protocol):
    """What hands messages to wherever mail goes."""

    @property
    def connections(self) -> int:
        """Return how many connections may be open at once."""

    def converse(self, source: MessageSource, drive: RunSession, /) -> None:
        """Hand over messages until the source has no more, or raise RelayUnavailable."""


def parse_relay(url: str, *, ehlo: str) -> Relay:
    """Read a relay's URL, such as smtps://user:password@host:465?connections=5.

    smtp and lmtp require STARTTLS, smtps is TLS at once; tls=none is for loopback only.
    Raises InvalidRelay.
    """
    parts, port, query = _split(url)
    scheme = parts.scheme
    if scheme not in ("smtp", "smtps", "lmtp"):
        raise InvalidRelay("It must begin with smtp://, smtps:// or lmtp://.")
    if not _HOST_NAME.fullmatch(ehlo):
        raise InvalidRelay("The name for EHLO must be a host name.")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(username) != bool(password) or not f"{username}{password}".isascii():
        raise InvalidRelay("Give a user and a password, both in ASCII, or neither.")
    if not f"{username}{password}".isprintable():
        raise InvalidRelay("The user or password has a control character.")
    host = parts.hostname or ""
    tls = _tls(scheme, query.get("tls"), host)
    if tls == "none" and username:
        raise InvalidRelay("A password is never sent without TLS.")
    return Relay(
        scheme=scheme,
        host=host,
        port=port or _PORTS[scheme],
        ehlo=ehlo,
        username=username,
        password=password,
        tls=tls,
        ca=_certificates(query.get("ca")),
        connections=int(_number(query, "connections", 5, 1, 200)),
        pipelining=_truth(query.get("pipelining", "on")),
        timeout=_number(query, "timeout", 300, 0.1, 3600),
        dot_timeout=_number(query, "dot_timeout", 600, 0.1, 3600),
    )


class SmtpTransport:
    """Converses with the relay; each thread has connections of its own, one at a time."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.connections = relay.connections

    def converse(self, source: MessageSource, drive: RunSession, /) -> None:
        """Send what the source gives; a connection that has ended is opened anew for the next.

        Raises RelayUnavailable when none can be opened; the message in hand is requeued.
        """
        while (outgoing := source.next_message(WORK_WAIT_SECONDS)) is not None:
            try:
                smtp_session = SmtpSession.open(self._relay)
            except BaseException:
                source.requeue(outgoing)
                raise
            source.record_start(outgoing)
            drive(smtp_session.line, SmtpPipeline(smtp_session, source).run(outgoing))
            smtp_session.close()


def _split(url: str) -> tuple[SplitResult, int | None, dict[str, str]]:
    try:
        parts = urlsplit(url)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidRelay(
            "The URL cannot be read. In a password, write : / ? # @ % as %3A and so on."
        ) from None
    query = dict(pairs)
    if unknown := sorted(query.keys() - _QUERY):
        raise InvalidRelay(f"The URL has unknown options: {', '.join(unknown)}.")
    if len(query) != len(pairs):
        raise InvalidRelay("The URL has an option twice.")
    if not parts.hostname or parts.path.strip("/") or parts.fragment or not url.isprintable():
        raise InvalidRelay("The URL must name a host, and no path after it.")
    return parts, port, query


def _tls(scheme: str, setting: str | None, host: str) -> Literal["starttls", "implicit", "none"]:
    fitting: Literal["starttls", "implicit"] = "implicit" if scheme == "smtps" else "starttls"
    if setting in (None, fitting):
        return fitting
    if setting != "none" or scheme == "smtps":
        raise InvalidRelay(f"{scheme}:// needs tls={fitting}.")
    if not is_loopback(host):
        raise InvalidRelay("Only a relay on this machine can be used without TLS (tls=none).")
    return "none"


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificates(path: str | None) -> str | None:
    if path is not None and not Path(path).is_file():
        raise InvalidRelay("The file of certificates (ca) does not exist.")
    return path


def _number(
    query: Mapping[str, str], name: str, default: float, minimum: float, maximum: float
) -> float:
    try:
        number = float(query.get(name, default))
    except ValueError:
        number = -1.0
    if not minimum <= number <= maximum:
        raise InvalidRelay(f"{name} must be a number from {minimum:g} to {maximum:g}.")
    return number


def _truth(word: str) -> bool:
    if word not in _TRUTHS:
        raise InvalidRelay("pipelining must be on or off.")
    return _TRUTHS[word]


MAX_IDLE_SECONDS: Final = 60.0
# Messages; the oldest go first.
MAX_MESSAGES: Final = 500
FILE_NAME: Final = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


class FolderTransport:
    """Accepts every envelope; no file's name holds an address."""

    connections = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def converse(self, source: MessageSource, _drive: RunSession, /) -> None:
        """Keep what the source gives."""
        while (outgoing := source.next_message(MAX_IDLE_SECONDS)) is not None:
            try:
                self.keep(outgoing.envelope, partial(source.record_dot, outgoing))
            except BaseException:
                source.requeue(outgoing)
                raise
            source.record_reply(outgoing, WELCOME)

    def keep(self, envelope: Envelope, before_dot: Callable[[], None]) -> None:
        """Keep the message; it appears whole or not at all."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{secrets.token_hex(8)}"
        unfinished = self._folder / f"{name}.part"
        try:
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(
                envelope.recipient.encode() + b"\r\n" + envelope.message + envelope.end
            )
            before_dot()
            unfinished.rename(mail_folder(self._folder, name))
        finally:
            unfinished.unlink(missing_ok=True)
        self._make_room()

    def _make_room(self) -> None:
        for name in message_files(self._folder)[:-MAX_MESSAGES]:
            with suppress(FileNotFoundError):
                mail_folder(self._folder, name).unlink()


def mail_folder(folder: Path, name: str) -> Path:
    """Return where the message of that name is kept: a recipient's line, and its source."""
    return folder / f"{name}.mail"


def message_files(folder: Path) -> list[str]:
    """List what is kept, the oldest first."""
    return sorted(file.stem for file in folder.glob("*.mail") if FILE_NAME.fullmatch(file.stem))
