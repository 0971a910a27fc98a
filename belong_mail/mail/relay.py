"""The district's mail server, named by a URL, and the transport that hands envelopes to it."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from belong_mail.mail.connection import Relay
from belong_mail.mail.conversation import Conversation
from belong_mail.mail.dialogue import Dialogue
from belong_mail.mail.feed import Drive, Feed

__all__ = ["Relay", "RelayRefused", "SmtpTransport", "Transport", "parse"]

PATIENCE: Final = 60.0
"""Seconds that a thread without a connection waits for work."""

_PORTS: Final = {"smtp": 587, "smtps": 465, "lmtp": 24}
_QUERY: Final = frozenset({"connections", "pipelining", "ca", "timeout", "dot_timeout", "tls"})
_TRUTHS: Final = {"on": True, "1": True, "yes": True, "off": False, "0": False, "no": False}
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


class RelayRefused(ValueError):
    """The relay's URL cannot be used. Says what is wrong, never the password."""


class Transport(Protocol):
    """What hands parcels to wherever mail goes."""

    @property
    def connections(self) -> int:
        """How many threads may converse at once."""

    def converse(self, feed: Feed, drive: Drive, /) -> None:
        """Hand over what the feed gives until it gives nothing more, or raise Unreachable."""


def parse(url: str, *, ehlo: str) -> Relay:
    """Read a relay's URL, such as smtps://user:password@host:465?connections=5.

    smtp and lmtp require STARTTLS, smtps is TLS at once; tls=none is for loopback only.
    Raises RelayRefused.
    """
    parts, port, query = _split(url)
    scheme = parts.scheme
    if scheme not in ("smtp", "smtps", "lmtp"):
        raise RelayRefused("A relay's URL begins with smtp://, smtps:// or lmtp://.")
    if not _HOST_NAME.fullmatch(ehlo):
        raise RelayRefused("The name to say in EHLO is not a host name.")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(username) != bool(password) or not f"{username}{password}".isascii():
        raise RelayRefused("A relay takes a user and a password, both in ASCII, or neither.")
    if not f"{username}{password}".isprintable():
        raise RelayRefused("The relay's user or password holds a control character.")
    host = parts.hostname or ""
    tls = _tls(scheme, query.get("tls"), host)
    if tls == "none" and username:
        raise RelayRefused("A password is not sent without TLS.")
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

    def converse(self, feed: Feed, drive: Drive, /) -> None:
        """Send what the feed gives; a connection that has ended is opened anew for the next.

        Raises Unreachable when none can be opened; the parcel in hand goes back to the feed.
        """
        while (parcel := feed.take(PATIENCE)) is not None:
            try:
                dialogue = Dialogue.open(self._relay)
            except BaseException:
                feed.unsaid(parcel)
                raise
            feed.begin(parcel)
            drive(dialogue.line, Conversation(dialogue, feed).run(parcel))
            dialogue.close()


def _split(url: str) -> tuple[SplitResult, int | None, dict[str, str]]:
    try:
        parts = urlsplit(url)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise RelayRefused(
            "The relay's URL cannot be read; a password's : / ? # @ % are written as %3A and so on."
        ) from None
    query = dict(pairs)
    if unknown := sorted(query.keys() - _QUERY):
        raise RelayRefused(f"The relay's URL takes no {', '.join(unknown)}.")
    if len(query) != len(pairs):
        raise RelayRefused("The relay's URL says something twice.")
    if not parts.hostname or parts.path.strip("/") or parts.fragment or not url.isprintable():
        raise RelayRefused("The relay's URL names a host, and has no path behind it.")
    return parts, port, query


def _tls(scheme: str, wanted: str | None, host: str) -> Literal["starttls", "implicit", "none"]:
    fitting: Literal["starttls", "implicit"] = "implicit" if scheme == "smtps" else "starttls"
    if wanted in (None, fitting):
        return fitting
    if wanted != "none" or scheme == "smtps":
        raise RelayRefused(f"{scheme}:// is for tls={fitting}.")
    if not _is_loopback(host):
        raise RelayRefused("Mail goes without TLS to this machine only (tls=none).")
    return "none"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _certificates(path: str | None) -> str | None:
    if path is not None and not Path(path).is_file():
        raise RelayRefused("The file of certificates (ca) is not there.")
    return path


def _number(
    query: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    try:
        number = float(query.get(name, default))
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise RelayRefused(f"{name} is a number from {least:g} to {most:g}.")
    return number


def _truth(word: str) -> bool:
    if word not in _TRUTHS:
        raise RelayRefused("pipelining is on or off.")
    return _TRUTHS[word]
