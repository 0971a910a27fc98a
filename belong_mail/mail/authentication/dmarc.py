"""Find a domain's DMARC policy by walking up the tree (RFC 9989)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from belong_mail.mail.authentication import Lookup

# Labels of the first name above a longer name, which limits the tree walk to eight queries (4.10).
MAX_LABELS: Final = 7
_TAG: Final = re.compile(r"\s*([a-zA-Z]+)\s*=\s*([^;]*?)\s*")
Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """The DMARC policy that applies to a domain."""

    domain: str
    # The domain itself, or the parent domain with the record.
    published_at: str
    tags: Tags

    @property
    def action(self) -> str:
        """Return the requested action: none, quarantine or reject."""
        own = self.tags.get("p", "none")
        is_own = self.domain == self.published_at
        action = own if is_own else self.tags.get("sp", own)
        return action if action in ("quarantine", "reject") else "none"


def parse_record(text: str) -> Tags | None:
    """Parse a TXT record; return None if it is not DMARC's."""
    tags: dict[str, str] = {}
    for number, part in enumerate(text.split(";")):
        found = _TAG.fullmatch(part)
        if number == 0 and (found is None or found.groups() != ("v", "DMARC1")):
            return None
        if found is not None:
            tags.setdefault(found[1].lower(), found[2])
    return tags


def records_of(domain: str, lookup: Lookup) -> list[Tags]:
    """Return the DMARC records of exactly this domain; if there are several, none applies."""
    found = map(parse_record, lookup(f"_dmarc.{domain}", "TXT"))
    return [tags for tags in found if tags is not None]


def policy_for(domain: str, lookup: Lookup) -> Policy | None:
    """Return the policy for a domain's email: its own, or its organizational domain's.

    The tree walk (4.10) stops at a record with `psd`; a public suffix's own record is used last.
    """
    labels = domain.lower().rstrip(".").split(".")
    found = {}
    for start in (0, *range(max(1, len(labels) - MAX_LABELS), len(labels))):
        name = ".".join(labels[start:])
        records = records_of(name, lookup)
        if len(records) == 1:
            found[name] = records[0]
            if records[0].get("psd", "u").lower() in ("y", "n"):
                break
    own = ".".join(labels)
    if own in found:
        return Policy(own, own, found[own])
    domains = [name for name, tags in found.items() if tags.get("psd", "u").lower() != "y"]
    at = next(reversed(domains or list(found)), "")
    return Policy(own, at, found[at]) if at else None
