"""What the site and its district are called: settings, filled into the catalogs' words.

The sources say `%(site_name)s`, `%(district_name)s`, `%(district_short)s`, `%(program_name)s` and
`%(time_place)s`; `core.i18n` fills them in when it reads a catalog.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Names:
    """The site's and the district's names, the groups' own word, and whose time is shown."""

    site_name: str
    district_name: str
    district_short: str
    program_name: str
    time_zone: ZoneInfo
    # Empty: the city that the time zone is called after.
    time_place: str = ""

    def placeholders(self) -> dict[str, str]:
        """Return what stands for each placeholder."""
        city = self.time_zone.key.rpartition("/")[2].replace("_", " ")
        return {
            "site_name": self.site_name,
            "district_name": self.district_name,
            "district_short": self.district_short,
            "program_name": self.program_name,
            "time_place": self.time_place or city,
        }


_PLACEHOLDER = re.compile(r"%\((site_name|district_name|district_short|program_name|time_place)\)s")


def filler(names: Names | None) -> Callable[[str], str]:
    """Return what fills words in; nothing where no settings were read."""
    if names is None:
        return str
    said = names.placeholders()
    return lambda words: _PLACEHOLDER.sub(lambda found: said[found[1]], words)
