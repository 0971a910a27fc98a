"""The two transports: the relay that a URL describes, and a folder, for development."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, unquote

from belong_mail.mail.hosts import InvalidSetting, is_loopback, read_url
from belong_mail.mail.message.mime import Copy
from belong_mail.mail.oauth import TokenSource, credentials_for
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.protocol import WELCOME, MessageSource, RunSession
from belong_mail.mail.smtp.session import SmtpPipeline, SmtpSession

SMTP_CREDENTIALS: Final = "BELONG_SMTP_CREDENTIALS"
_PORTS: Final = {"smtp": 587, "smtps": 465, "lmtp": 24}
_QUERY: Final = frozenset((
    "connections", "pipelining", "timeout", "dot_timeout", "tls", "ca", "auth", "token_file",
))  # fmt: skip
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def parse_relay(url: str, *, ehlo: str, credentials: str = "") -> Relay:
    """Parse a relay's URL, such as smtps://user:password@host:465?connections=5.

    smtp and lmtp require STARTTLS, smtps is TLS from the start; tls=none is for loopback only. With
    auth=xoauth2, OAuth credentials or a file with them replace the password. Raises InvalidSetting.
    """
    parts, port, query = read_url(url, _QUERY)
    if parts.path.strip("/"):
        raise InvalidSetting("The URL must name a host, and no path after it.")
    scheme = parts.scheme
    if scheme not in ("smtp", "smtps", "lmtp"):
        raise InvalidSetting("It must begin with smtp://, smtps:// or lmtp://.")
    if not _HOST_NAME.fullmatch(ehlo):
        raise InvalidSetting("The name for EHLO must be a host name.")
    # Only the worker is given the credentials.
    by_token = credentials_for(query, credentials, SMTP_CREDENTIALS, Path())
    username, password = _user(parts, is_by_token=by_token is not None)
    host = parts.hostname or ""
    tls = _tls(scheme, query.get("tls"), host)
    if tls == "none" and username:
        raise InvalidSetting("A password or token is never sent without TLS.")
    return Relay(
        scheme=scheme,
        host=host,
        port=port or _PORTS[scheme],
        ehlo=ehlo,
        username=username,
        password=password,
        tls=tls,
        ca=query.get("ca"),
        tokens=TokenSource(by_token) if by_token else None,
        connections=int(_number(query, "connections", 5, 1, 200)),
        pipelining=_is_on(query.get("pipelining", "on")),
        timeout=_number(query, "timeout", 300, 0.1, 3600),
        dot_timeout=_number(query, "dot_timeout", 600, 0.1, 3600),
    )


class SmtpTransport:
    """Sends to a relay; each calling thread has one connection at a time."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.connections = relay.connections

    def converse(self, source: MessageSource, drive: RunSession) -> None:
        """Send the source's messages, over a new connection whenever one has ended.

        Raises RelayUnavailable if none can be opened; the message that waited is requeued.
        """
        while (outgoing := source.next_message(is_opening=True)) is not None:
            try:
                smtp_session = SmtpSession.open(self._relay)
            except BaseException:
                source.requeue(outgoing)
                raise
            source.record_start(outgoing)
            drive(smtp_session.line, SmtpPipeline(smtp_session, source).run(outgoing))
            smtp_session.close()


def _tls(scheme: str, setting: str | None, host: str) -> Literal["starttls", "implicit", "none"]:
    fitting: Literal["starttls", "implicit"] = "implicit" if scheme == "smtps" else "starttls"
    if setting in (None, fitting):
        return fitting
    if setting != "none" or scheme == "smtps":
        raise InvalidSetting(f"{scheme}:// needs tls={fitting}.")
    if not is_loopback(host):
        raise InvalidSetting("Only a relay on this machine can be used without TLS (tls=none).")
    return "none"


def _user(parts: SplitResult, *, is_by_token: bool) -> tuple[str, str]:
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if is_by_token and (password or not username):
        raise InvalidSetting("With auth=xoauth2, give a user and no password.")
    is_whole = is_by_token or bool(username) == bool(password)
    if not is_whole or not f"{username}{password}".isascii():
        raise InvalidSetting("Give a user and a password, both in ASCII, or neither.")
    if not f"{username}{password}".isprintable():
        raise InvalidSetting("The user or password has a control character.")
    return username, password


def _number(
    query: Mapping[str, str], name: str, default: float, minimum: float, maximum: float
) -> float:
    try:
        number = float(query.get(name, default))
    except ValueError:
        number = -1.0
    if not minimum <= number <= maximum:
        raise InvalidSetting(f"{name} must be a number from {minimum:g} to {maximum:g}.")
    return number


def _is_on(word: str) -> bool:
    if word not in ("on", "off"):
        raise InvalidSetting("pipelining must be on or off.")
    return word == "on"


# Messages kept in the folder; the oldest are deleted.
MAX_MESSAGES: Final = 500
FILE_NAME: Final = re.compile(r"[0-9]{20}-[0-9a-f]{16}")


class FolderTransport:
    """Stores every message as a file, whose name holds no address."""

    connections = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def converse(self, source: MessageSource, _drive: RunSession) -> None:
        """Store the messages that wait."""
        while (outgoing := source.next_message(is_opening=True)) is not None:
            try:
                self.keep(outgoing.copy, partial(source.record_dot, outgoing))
            except BaseException:
                source.requeue(outgoing)
                raise
            source.record_reply(outgoing, WELCOME)

    def keep(self, copy: Copy, before_dot: Callable[[], None]) -> None:
        """Write the message to a file that appears whole or not at all (by renaming)."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{secrets.token_hex(8)}"
        unfinished = self._folder / f"{name}.part"
        try:
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(copy.recipient.encode() + b"\r\n" + copy.message + copy.end)
            before_dot()
            unfinished.rename(mail_folder(self._folder, name))
        finally:
            unfinished.unlink(missing_ok=True)
        for name in message_files(self._folder)[:-MAX_MESSAGES]:
            with suppress(FileNotFoundError):
                mail_folder(self._folder, name).unlink()


Transport = SmtpTransport | FolderTransport


def mail_folder(folder: Path, name: str) -> Path:
    """Return the path of a stored message: the recipient's line, then the message."""
    return folder / f"{name}.mail"


def message_files(folder: Path) -> list[str]:
    """List the names of stored messages, oldest first."""
    return sorted(file.stem for file in folder.glob("*.mail") if FILE_NAME.fullmatch(file.stem))
