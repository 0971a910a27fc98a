"""Check a domain's SPF and DMARC records and a receiving server's verdict, for `doctor`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Final

# Looks up a name's records of a type, as texts. Raises DNSException.
Lookup = Callable[[str, str], list[str]]
# Characters of a field that are read.
MAX_FIELD: Final = 4096
# Quoted strings and comments, which the sender may control.
_QUOTED_OR_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\([^()]*\)')
_RECEIVED_BY: Final = re.compile(r"\s*(?:from\s+\S+\s+)?by\s+([^\s;]+)", re.IGNORECASE)
_RESULT: Final = re.compile(r"\s*([a-z0-9-]+)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\b", re.IGNORECASE)
_SIGNER: Final = re.compile(r"\bheader\.(?:d\s*=\s*|i\s*=\s*[^\s@;]*@)([^\s;]+)", re.IGNORECASE)
# Microsoft's servers leave out the name of the server.
_MICROSOFT: Final = "outlook.com"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One Authentication-Results field: the server that wrote it, and its results."""

    server: str
    # Method (`spf`, `dkim` or `dmarc`), result, and signing domain or "".
    results: list[tuple[str, str, str]]

    def of(self, method: str) -> str:
        """Return a method's result, for DKIM the best of all signatures; "" if there is none."""
        found = [result for name, result, _ in self.results if name == method]
        return "pass" if method == "dkim" and "pass" in found else next(iter(found), "")

    @property
    def signers(self) -> list[str]:
        """Return the domains whose signatures verify."""
        return sorted(
            {signer for *said, signer in self.results if signer and said == ["dkim", "pass"]}
        )


def verdict_of(parsed: Message) -> Verdict | None:
    """Return the topmost verdict (RFC 8601) if the receiving server wrote it, else None.

    The author and relays can write such fields, too. Trusts one that names the receiving server and
    stands above the fields of all other servers.
    """
    receiver, verdict = "", None
    for name, value in parsed.items():
        if name.lower() == "authentication-results" and verdict is None:
            verdict = _parse_results(str(value))
        elif name.lower() == "received":
            by = _RECEIVED_BY.match(_plain(str(value)))
            taken_by = by[1] if by else ""
            if ":" in taken_by:  # an address: a hop within one organization, as at Gmail
                continue
            receiver = receiver or taken_by
            if not receiver or _owner(taken_by) != _owner(receiver):
                break
    is_receivers = verdict is not None and _owner(verdict.server or _MICROSOFT) == _owner(receiver)
    return verdict if is_receivers else None


def _owner(server: str) -> str:
    """Return the domain that the servers of one organization share."""
    name = server.lower().rstrip(".")
    if f".{name}".endswith(f".{_MICROSOFT}"):
        return _MICROSOFT
    return name.partition(".")[2] if name.count(".") > 1 else name


def _parse_results(value: str) -> Verdict:
    parts = _plain(value).split(";")
    server = "" if "=" in parts[0] else parts.pop(0).strip().partition(" ")[0]
    results = []
    for part in parts:
        if found := _RESULT.match(part):
            signer = _SIGNER.search(part)
            name = signer[1].lower() if signer else ""
            results.append((found[1].lower(), found[2].lower(), name))
    return Verdict(server, results)


def _plain(value: str) -> str:
    """Remove quoted strings and comments, even nested ones."""
    value, left = value[:MAX_FIELD], 1
    while left:
        value, left = _QUOTED_OR_COMMENT.subn(" ", value)
    return value


def spf_records(domain: str, lookup: Lookup) -> list[str]:
    """Return a domain's SPF records (RFC 7208); it must have exactly one."""
    found = lookup(domain, "TXT")
    return [text for text in found if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


def dmarc_records(domain: str, lookup: Lookup) -> list[str]:
    """Return the DMARC records of exactly this domain; several count as none."""
    found = lookup(f"_dmarc.{domain}", "TXT")
    return [text for text in found if re.match(r"\s*v\s*=\s*DMARC1\s*(?:;|$)", text)]


def dmarc_policy(domain: str, lookup: Lookup) -> tuple[str, str]:
    """Return the domain whose DMARC policy applies to a domain's email, and the policy.

    This is the domain itself, or else the next one above. Returns empty texts if there is none.
    """
    labels = domain.lower().rstrip(".").split(".")
    for above in range(len(labels)):
        name = ".".join(labels[above:])
        records = dmarc_records(name, lookup)
        if len(records) == 1:
            tags: dict[str, str] = dict(re.findall(r"([a-z]+)\s*=\s*([^;\s]+)", records[0].lower()))
            own = tags.get("p", "none")
            return name, tags.get("sp", own) if above else own
    return "", ""
