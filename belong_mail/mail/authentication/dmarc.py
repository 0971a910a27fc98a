"""Find a domain's DMARC policy and its organizational domain, by walking up the tree (RFC 9989)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from belong_mail.mail.authentication import Lookup

# Labels from which a walk begins, after the name itself: so it asks at most eight times (4.10).
MAX_LABELS: Final = 7
_TAG: Final = re.compile(r"\s*([a-zA-Z]+)\s*=\s*([^;]*?)\s*")
Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a domain, and the name at which it is published."""

    domain: str
    # The domain itself, or one above it.
    published_at: str
    tags: Tags

    @property
    def action(self) -> str:
        """Return what is asked for: none, quarantine or reject."""
        own = self.tags.get("p", "none")
        is_own = self.domain == self.published_at
        action = own if is_own else self.tags.get("sp", own)
        return action if action in ("quarantine", "reject") else "none"


def parse_record(text: str) -> Tags | None:
    """Read a record; None: it is none of DMARC."""
    tags: dict[str, str] = {}
    for number, part in enumerate(text.split(";")):
        found = _TAG.fullmatch(part)
        if number == 0 and (found is None or found.groups() != ("v", "DMARC1")):
            return None
        if found is not None:
            tags.setdefault(found[1].lower(), found[2])
    return tags


def records_of(domain: str, lookup: Lookup) -> list[Tags]:
    """Return the records of exactly this domain; more than one count as none."""
    found = map(parse_record, lookup(f"_dmarc.{domain}", "TXT"))
    return [tags for tags in found if tags is not None]


def walk(domain: str, lookup: Lookup) -> dict[str, Tags]:
    """Return the records from a domain upward, up to one that ends the walk (`psd` is y or n)."""
    labels = domain.lower().rstrip(".").split(".")
    names = [labels]
    labels = labels[1:] if len(labels) <= MAX_LABELS else labels[-MAX_LABELS:]
    names += [labels[number:] for number in range(len(labels))]
    found = {}
    for each in names:
        name = ".".join(each)
        records = records_of(name, lookup)
        if len(records) == 1:
            found[name] = records[0]
            if records[0].get("psd", "u").lower() in ("y", "n"):
                break
    return found


def organizational_domain(domain: str, lookup: Lookup) -> str:
    """Return the domain of whoever is responsible for a name (4.10.2)."""
    domain = domain.lower().rstrip(".")
    found = walk(domain, lookup)
    for name, tags in found.items():
        psd = tags.get("psd", "u").lower()
        if psd == "n":
            return name
        if psd == "y" and name != domain:
            below = domain.removesuffix(f".{name}").rpartition(".")[2]
            return f"{below}.{name}"
    return min(found, key=lambda name: name.count("."), default=domain)


def policy_for(domain: str, lookup: Lookup) -> Policy | None:
    """Return the policy for email from a domain: its own, or of the domain above it."""
    domain = domain.lower().rstrip(".")
    found = walk(domain, lookup)
    if domain in found:
        return Policy(domain, domain, found[domain])
    above = organizational_domain(domain, lookup)
    at = above if above in found else next(reversed(found), "")
    return Policy(domain, at, found[at]) if at else None
