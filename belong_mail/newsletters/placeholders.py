"""Placeholders: a fixed dictionary, no template language; any other braces stay as they are."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from belong_mail.links import Links
from belong_mail.mail.message import slot
from belong_mail.tokens import Purpose

Token = Callable[[str], str]
"""What fills a slot, from a member's public id."""

FALLBACKS = {
    "first_name": {"en": "colleague", "es": "colega"},
    "group": {"en": "", "es": ""},
}
"""What stands in the place of a name that nobody gave us; the group always has one."""
PLACEHOLDER = re.compile(r"(?<![{$%\\])\{([A-Za-z_][A-Za-z0-9_ ]{0,40})\}(?!\})")


def unknown(text: str) -> list[str]:
    """List the words in single braces that are no placeholders of ours."""
    return sorted({found for found in PLACEHOLDER.findall(text) if found not in FALLBACKS})


def open_slots(text: str, group_name: str) -> str:
    """Put the group's name in, and a slot where each member's own name comes."""

    def put(found: re.Match[str]) -> str:
        if found[1] == "group":
            return group_name
        return slot(found[1]) if found[1] in FALLBACKS else found[0]

    return PLACEHOLDER.sub(put, text)


def first_name(name: str, language: str) -> str:
    """Return a member's first name, or what stands in its place."""
    return name or FALLBACKS["first_name"][language]


def tokens(links: Links, at: datetime, language: str) -> Iterator[tuple[str, Token]]:
    """Yield the slots of links and what fills them; an older version froze slots of whole links."""
    for name, purpose, reader in (
        ("leave", Purpose.LEAVE, language),
        ("one_click", Purpose.ONE_CLICK, None),
    ):
        yield name, links.signer(purpose, at)
        endpoint = f"subscriptions.{name}"
        yield f"{name}_url", partial(links.signed, endpoint, purpose, at=at, language=reader)
