"""Groups as a reader sees them: in one language, with their hue."""

from dataclasses import dataclass

from belong_mail.groups.models import Group, Words
from belong_mail.languages import DEFAULT


@dataclass(frozen=True, slots=True)
class Card:
    """A group's public face."""

    number: int
    slug: str
    name: str
    summary: str
    note: str
    hue: int
    is_upcoming: bool


def card(group: Group, language: str) -> Card:
    return Card(
        number=group.id,
        slug=group.slug,
        name=group.name,
        summary=said(group.summary, language),
        note=said(group.note, language),
        hue=(group.position - 1) % 10 + 1,
        is_upcoming=group.established_at is None,
    )


def resources_of(group: Group, language: str) -> list[dict[str, str]]:
    """List the links on a group's page, in a language."""
    return [
        {"title": said(each["title"], language), "url": each["url"]} for each in group.resources
    ]


def said(words: Words, language: str) -> str:
    """Return words in a language, else in our own; empty where there are none."""
    return words.get(language) or words.get(DEFAULT, "")
