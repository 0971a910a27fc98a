"""Placeholders: a fixed dictionary, no template language; any other braces stay as they are."""

import re

from belong_mail.mail.message import slot

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
