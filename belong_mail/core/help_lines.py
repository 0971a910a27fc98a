"""Who helps at once, where no one reads messages around the clock: told wherever worries are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HelpLine:
    """A number to call and a web address; a line of the district's own has a name besides."""

    phone: str
    url: str
    name: str = ""

    @property
    def site(self) -> str:
        """Return the web address as people read it."""
        return self.url.removeprefix("https://")


@dataclass(frozen=True, slots=True)
class HelpLines:
    """About a student's safety, if the district has one, and for whoever is having a hard time."""

    safe2tell: HelpLine | None
    lifeline: HelpLine
