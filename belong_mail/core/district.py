"""The names of site and district, and the help lines.

Help lines stand wherever people may write about worries, as no one reads messages around the clock.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Names:
    """The names of site, district and program, and the time zone."""

    site_name: str
    district_name: str
    district_short: str
    program_name: str
    time_zone: ZoneInfo

    def placeholders(self) -> dict[str, str]:
        city = self.time_zone.key.rpartition("/")[2].replace("_", " ")
        return {
            "site_name": self.site_name,
            "district_name": self.district_name,
            "district_short": self.district_short,
            "program_name": self.program_name,
            "time_place": city,
        }


_PLACEHOLDER = re.compile(r"%\((site_name|district_name|district_short|program_name|time_place)\)s")


def filler(names: Names | None) -> Callable[[str], str]:
    """Return a function that fills placeholders in; without names, one that changes nothing."""
    if names is None:
        return str
    said = names.placeholders()
    return lambda words: _PLACEHOLDER.sub(lambda found: said[found[1]], words)


@dataclass(frozen=True, slots=True)
class HelpLine:
    """A help line: its name, phone number and web address."""

    name: str
    phone: str
    url: str

    def __str__(self) -> str:
        return f"{self.name} {self.phone} {self.url}"

    @property
    def site(self) -> str:
        """Return the URL as people write it."""
        return self.url.removeprefix("https://")


@dataclass(frozen=True, slots=True)
class HelpLines:
    """Lines for students' safety, if the district has any, and one for anyone in a crisis."""

    safety: tuple[HelpLine, ...]
    crisis: HelpLine

    def __str__(self) -> str:
        """Return the lines in the format of the setting."""
        return "\n".join(str(each) for each in (*self.safety, self.crisis))
