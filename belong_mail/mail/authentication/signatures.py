"""Verify DKIM signatures (RFC 6376), by dkimpy: of what came back to `doctor`, and nothing else."""

import logging
import re
from dataclasses import dataclass
from email.message import Message
from typing import Final

import dkim
from dns.exception import DNSException

from belong_mail.mail.authentication import Lookup

# Bits that receivers ask for at least (RFC 8301), and those that a key should have.
MIN_BITS: Final = 1024
GOOD_BITS: Final = 2048
_quiet = logging.getLogger("belong_mail.dkim")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


@dataclass(frozen=True, slots=True)
class Signature:
    domain: str
    algorithm: str
    # Names of the header fields that it covers, in lower case.
    covered: frozenset[str]
    # Whether something could be added below (l=).
    is_open_ended: bool
    # Why it does not verify; empty: it does.
    fault: str = ""
    bits: int = 0

    @property
    def is_unknown(self) -> bool:
        """Whether it could not be checked here."""
        return self.fault == UNCHECKED


UNCHECKED: Final = "Ed25519 is not checked here"


def signatures(raw: bytes, parsed: Message, lookup: Lookup) -> list[Signature]:
    """Verify all signatures of a message, in their order."""
    found = parsed.get_all("DKIM-Signature", [])
    return [_verify(raw, str(value), number, lookup) for number, value in enumerate(found)]


def _verify(raw: bytes, value: str, number: int, lookup: Lookup) -> Signature:
    tags = _tags(value)
    fault, bits = _fault(raw, number, lookup)
    if fault and tags.get("a", "").startswith("ed25519"):
        fault = UNCHECKED
    return Signature(
        domain=tags.get("d", "").lower(),
        algorithm=tags.get("a", ""),
        covered=frozenset(name.strip().lower() for name in tags.get("h", "").split(":")),
        is_open_ended="l" in tags,
        fault=fault,
        bits=bits,
    )


def _tags(value: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in re.sub(r"\s+", "", value).split(";") if "=" in part)
    return {name: said for name, _, said in pairs}


def _fault(raw: bytes, number: int, lookup: Lookup) -> tuple[str, int]:
    def text_of(name: bytes, timeout: int = 5) -> bytes | None:
        del timeout
        records = lookup(name.decode("ascii").rstrip("."), "TXT")
        return records[0].encode() if records else None

    verifier = dkim.DKIM(raw, logger=_quiet, minkey=MIN_BITS)
    try:
        is_good = verifier.verify(idx=number, dnsfunc=text_of)
    except DNSException:
        return "DNS did not answer with its key", 0
    except dkim.KeyFormatError as error:
        missing = str(error).startswith("missing")
        return ("its key is not in DNS" if missing else "its key in DNS is bad or too short"), 0
    except (dkim.DKIMException, ValueError, LookupError, TypeError):
        return "it is malformed, or covers another body than the one that arrived", 0
    bits = int(getattr(verifier, "keysize", 0) or 0)
    return ("" if is_good else "what it covers was changed on the way"), bits
