"""What is printed and passed on about each group: its words, its short address, its QR code."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.groups import service as groups
from belong_mail.groups.cards import Card, card
from belong_mail.groups.models import Group
from belong_mail.links import Links
from belong_mail.newcomers.encoding import Code, code_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A group as it stands on paper."""

    said: Mapping[str, Card]
    """Its public face in each language."""
    url: str
    code: Code

    @property
    def typed(self) -> str:
        """What a person types to get there."""
        return self.url.partition("://")[2]


def entries(session: Session, links: Links) -> list[Entry]:
    """List all groups that people can see, in the directory's order."""
    return [entry(group, links) for group in groups.shown(session)]


def entry(group: Group, links: Links) -> Entry:
    url = links.plain("newcomers.short", number=group.id)
    return Entry({code: card(group, code) for code in languages.NAMES}, url, code_of(url))
