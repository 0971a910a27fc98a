"""Find a domain's SPF records and its DMARC policy in DNS."""

import re

from belong_mail.mail.authentication import Lookup


def spf_records(domain: str, lookup: Lookup) -> list[str]:
    """Return a domain's SPF records (RFC 7208); it must have one."""
    found = lookup(domain, "TXT")
    return [text for text in found if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


def dmarc_records(domain: str, lookup: Lookup) -> list[str]:
    """Return the DMARC records of exactly this domain; several count as none."""
    found = lookup(f"_dmarc.{domain}", "TXT")
    return [text for text in found if re.match(r"\s*v\s*=\s*DMARC1\s*(?:;|$)", text)]


def dmarc_policy(domain: str, lookup: Lookup) -> tuple[str, str]:
    """Return the name that the policy for a domain's email stands at, and the policy.

    It is the domain's own, or that of the next domain above. Returns empty texts if there is none.
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
