"""Evaluate SPF: whether a domain allows an address to send for it (RFC 7208)."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from dns.exception import DNSException

from belong_mail.mail.authentication import Lookup

Address = IPv4Address | IPv6Address
# Limits of one evaluation (4.6.4): terms that query DNS, and queries that find nothing.
MAX_QUERIES: Final = 10
MAX_VOIDS: Final = 2
PASS, FAIL, SOFTFAIL, NEUTRAL = "pass", "fail", "softfail", "neutral"
NONE, PERMERROR, TEMPERROR = "none", "permerror", "temperror"
_QUALIFIED: Final = {"+": PASS, "-": FAIL, "~": SOFTFAIL, "?": NEUTRAL}
_TERM: Final = re.compile(
    r"[+?~-]?(all|include|a|mx|ptr|exists)(?::([^/]+))?((?:/\d{1,3})?(?://\d{1,3})?)", re.IGNORECASE
)
_NETWORK: Final = re.compile(r"[+?~-]?ip([46]):(.+)", re.IGNORECASE)
_MODIFIER: Final = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE)
_MACRO: Final = re.compile(r"%(?:([%_-])|\{([slodipvh])(\d*)(r?)([.+,/_=-]*)\})", re.IGNORECASE)


class InvalidSpf(Exception):
    """The record cannot be evaluated (permerror). The error says why."""


def evaluate(address: str, domain: str, sender: str, ehlo: str, lookup: Lookup) -> tuple[str, str]:
    """Return the SPF result for an address and a domain, and the deciding term or the reason."""
    try:
        return _Evaluation(ip_address(address), sender, ehlo, lookup).check(domain)
    except InvalidSpf as error:
        return PERMERROR, str(error)
    except (DNSException, UnicodeError):
        return TEMPERROR, "DNS did not answer"


def records_of(domain: str, lookup: Lookup) -> list[str]:
    """Return a domain's SPF records; more than one is an error."""
    found = lookup(domain, "TXT")
    return [text for text in found if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


@dataclass
class _Evaluation:
    address: Address
    sender: str
    ehlo: str
    lookup: Lookup
    queries: int = 0
    voids: int = 0

    def check(self, domain: str) -> tuple[str, str]:
        """Evaluate a domain's record: the first matching term decides (4.6.2)."""
        records = records_of(domain, self.lookup)
        if len(records) > 1:
            raise InvalidSpf(f"{domain} has more than one SPF record")
        if not records:
            return NONE, ""
        redirect = ""
        for term in records[0].split()[1:]:
            if modifier := _MODIFIER.fullmatch(term):
                if modifier[1].lower() == "redirect":
                    redirect = modifier[2]
                continue
            if self._matches(term, domain):
                qualifier = term[0] if term[0] in _QUALIFIED else "+"
                return _QUALIFIED[qualifier], term
        if not redirect:
            return NEUTRAL, "no term matches"
        self._count()
        result, why = self.check(self._expand(redirect, domain))
        if result == NONE:
            raise InvalidSpf("redirect leads to a domain without SPF")
        return result, why

    def _matches(self, term: str, domain: str) -> bool:
        if network := _NETWORK.fullmatch(term):
            return self._is_in(int(network[1]), network[2])
        found = _TERM.fullmatch(term)
        if found is None:
            raise InvalidSpf(f"{term} is no term of SPF")
        name, target = found[1].lower(), self._expand(found[2] or domain, domain)
        if name == "all":
            return True
        self._count()
        if name == "include":
            result, _ = self.check(target)
            if result == NONE:
                raise InvalidSpf(f"include:{target} has no SPF record")
            return result == PASS
        if name == "exists":
            return bool(self._ask(target, "A"))
        # `ptr` should not be used (5.5): treated as if no name were confirmed.
        return name != "ptr" and self._is_at(name, target, found[3])

    def _is_in(self, version: int, given: str) -> bool:
        try:
            network = ip_network(given, strict=False)
        except ValueError:
            network = None
        if network is None or network.version != version:
            raise InvalidSpf(f"ip{version}:{given} is no network")
        return self.address in network

    def _is_at(self, name: str, target: str, widths: str) -> bool:
        """Return whether the address belongs to a host, or to one of a domain's mail servers."""
        hosts = [target]
        if name == "mx":
            hosts = [each.split()[-1].rstrip(".") for each in self._ask(target, "MX")]
            if len(hosts) > MAX_QUERIES:
                raise InvalidSpf(f"{target} has more than {MAX_QUERIES} mail servers")
        is_v6 = self.address.version == 6  # noqa: PLR2004 - IP's version
        four, _, six = widths.partition("//")
        width = (six or "128") if is_v6 else (four.strip("/") or "32")
        for host in hosts:
            for each in self._ask(host, "AAAA" if is_v6 else "A"):
                if self.address in ip_network(f"{each}/{width}", strict=False):
                    return True
        return False

    def _count(self) -> None:
        self.queries += 1
        if self.queries > MAX_QUERIES:
            raise InvalidSpf(f"more than {MAX_QUERIES} terms ask DNS")

    def _ask(self, name: str, kind: str) -> list[str]:
        answers = self.lookup(name, kind)
        self.voids += not answers
        if self.voids > MAX_VOIDS:
            raise InvalidSpf(f"more than {MAX_VOIDS} names do not exist, such as {name}")
        return answers

    def _expand(self, text: str, domain: str) -> str:
        """Expand macros (7); the validated domain name (p) is always "unknown"."""
        local, _, of_sender = self.sender.rpartition("@")
        six = self.address.exploded.replace(":", "")
        letters = {
            "s": self.sender, "l": local or "postmaster", "o": of_sender, "d": domain,
            "i": str(self.address) if self.address.version == 4 else ".".join(six),  # noqa: PLR2004
            "p": "unknown", "v": "in-addr" if self.address.version == 4 else "ip6",  # noqa: PLR2004
            "h": self.ehlo,
        }  # fmt: skip

        def fill(found: re.Match[str]) -> str:
            if found[1]:
                return {"%": "%", "_": " ", "-": "%20"}[found[1]]
            parts = re.split(f"[{re.escape(found[5] or '.')}]", letters[found[2].lower()])
            parts = parts[::-1] if found[4] else parts
            return ".".join(parts[-int(found[3]) :] if found[3] else parts)

        return _MACRO.sub(fill, text)
