"""Parse servers' URLs; recognize this machine by name or address."""

import ipaddress
from urllib.parse import SplitResult, parse_qsl, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class InvalidSetting(ValueError):
    """A setting about a mail server is wrong. The error says why, without a value."""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_this_machine(host: str) -> bool:
    """Return whether browsers treat a host as this machine (RFC 6761 6.3)."""
    return is_loopback(host) or host.endswith(".localhost")


def read_url(url: str, options: frozenset[str]) -> tuple[SplitResult, int | None, dict[str, str]]:
    """Split a server's URL into parts, port and query. Raises InvalidSetting."""
    try:
        parts = urlsplit(url)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise InvalidSetting(
            "The URL cannot be read. In a password, write : / ? # @ % as %3A and so on."
        ) from None
    query = dict(pairs)
    if unknown := sorted(query.keys() - options):
        raise InvalidSetting(f"The URL has unknown options: {', '.join(unknown)}.")
    if len(query) != len(pairs):
        raise InvalidSetting("The URL has an option twice.")
    if not parts.hostname or parts.fragment or not url.isprintable():
        raise InvalidSetting("The URL must name a host.")
    return parts, port, query
