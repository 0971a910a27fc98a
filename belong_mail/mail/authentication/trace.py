"""Read what the servers on the way wrote into a message: who handed it over, what they found."""

import re
from dataclasses import dataclass
from email.message import Message
from ipaddress import ip_address
from typing import Final

from dns.exception import DNSException
from dns.reversename import from_address

from belong_mail.mail.authentication import Lookup

# Characters of a header that are read.
MAX_HEADER: Final = 4096
_FROM: Final = re.compile(
    r"from\s+\[?([A-Za-z0-9._:-]{1,255})\]?\s+\([^()]{0,512}?\[(?:IPv6:)?([0-9A-Fa-f.:]{2,45})\]"
)
_COMMENT: Final = re.compile(r"\([^()]*\)")
_METHOD: Final = re.compile(r"\s*(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hop:
    """Who handed a message over, as the server that took it wrote it down."""

    ehlo: str
    address: str


def handed_over(parsed: Message) -> Hop | None:
    """Return the last public address that handed the message over, else the last one at all."""
    hops = []
    for value in parsed.get_all("Received", []):
        found = _FROM.match(str(value)[:MAX_HEADER])
        try:
            hops += [Hop(found[1], str(ip_address(found[2])))] if found else []
        except ValueError:
            continue
    public = (hop for hop in hops if not is_private(hop.address))
    return next(public, hops[0] if hops else None)


def is_private(address: str) -> bool:
    """Tell whether an address is used inside one network alone, so that nobody else meets it."""
    return not ip_address(address).is_global


def verdicts(parsed: Message) -> dict[str, str]:
    """Return what the receiver says of spf, dkim and dmarc (RFC 8601): the topmost field counts."""
    said: dict[str, str] = {}
    for value in parsed.get_all("Authentication-Results", [])[:1]:
        for part in _COMMENT.sub("", str(value)[:MAX_HEADER]).split(";")[1:]:
            if found := _METHOD.match(part):
                method, result = found[1].lower(), found[2].lower()
                said[method] = "pass" if "pass" in (said.get(method), result) else result
    return said


def confirmed_names(address: str, lookup: Lookup) -> tuple[list[str], list[str]]:
    """Return an address's names, and those of them that have this address (RFC 8499, FCrDNS)."""
    reverse = from_address(address).to_text().rstrip(".")
    names = [name.rstrip(".") for name in lookup(reverse, "PTR")]
    return names, [name for name in names if has_address(name, address, lookup)]


def has_address(name: str, address: str, lookup: Lookup) -> bool:
    """Tell whether a name leads to an address; not, where DNS does not answer."""
    kind = "AAAA" if ":" in address else "A"
    try:
        return ip_address(address) in map(ip_address, lookup(name, kind))
    except (DNSException, ValueError):
        return False
