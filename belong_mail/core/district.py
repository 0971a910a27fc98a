"""The district's names, help lines and identity provider, as the settings have them.

The sources say `%(site_name)s`, `%(district_name)s`, `%(district_short)s`, `%(program_name)s` and
`%(time_place)s`; `core.i18n` fills them in when it reads a catalog. Help lines are named wherever
worries may be told, as no one reads messages around the clock.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class District:
    """The identity provider that is configured; without an issuer there is none."""

    issuer: str = ""
    # Oldest first; the newest names.
    secret_keys: tuple[str, ...] = ()

    def name(self, subject: str) -> bytes:
        """Name a person by issuer and subject, under the newest key."""
        return self.names(subject)[0]

    def names(self, subject: str) -> list[bytes]:
        """Name a person under each key, the newest first."""
        message = f"identity\x00{self.issuer}\x00{subject}".encode()
        return [
            hmac.digest(key.encode(), message, hashlib.sha256) for key in reversed(self.secret_keys)
        ]


@dataclass(frozen=True, slots=True)
class Names:
    """The site's and the district's names, the groups' own word, and their time zone."""

    site_name: str
    district_name: str
    district_short: str
    program_name: str
    time_zone: ZoneInfo

    def placeholders(self) -> dict[str, str]:
        """Return what stands for each placeholder."""
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
    """Return what fills words in; nothing where no settings were read."""
    if names is None:
        return str
    said = names.placeholders()
    return lambda words: _PLACEHOLDER.sub(lambda found: said[found[1]], words)


@dataclass(frozen=True, slots=True)
class HelpLine:
    """A line to call: its name, its number and its web address."""

    name: str
    phone: str
    url: str

    def __str__(self) -> str:
        return f"{self.name} {self.phone} {self.url}"

    @property
    def site(self) -> str:
        """Return the web address as people read it."""
        return self.url.removeprefix("https://")


@dataclass(frozen=True, slots=True)
class HelpLines:
    """Lines for a student's safety, if the district has any, and one for anyone in a crisis."""

    safety: tuple[HelpLine, ...]
    crisis: HelpLine

    def __str__(self) -> str:
        """Write one a line, as the setting is read."""
        return "\n".join(str(each) for each in (*self.safety, self.crisis))
