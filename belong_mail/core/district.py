"""The names of site and district, the help lines, and the district's identity provider.

Help lines stand wherever people may write about worries, as no one reads messages around the clock.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class District:
    """The district's identity provider; with an empty issuer there is none."""

    issuer: str = ""
    # Hash keys, oldest first; new hashes use the newest.
    secret_keys: tuple[str, ...] = ()

    def subject_hash(self, subject: str) -> bytes:
        """Hash a person's issuer and subject, with the newest key."""
        return self.subject_hashes(subject)[0]

    def subject_hashes(self, subject: str) -> list[bytes]:
        """Hash a person's issuer and subject with each key, newest first."""
        message = f"identity\x00{self.issuer}\x00{subject}".encode()
        return [
            hmac.digest(key.encode(), message, hashlib.sha256) for key in reversed(self.secret_keys)
        ]


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
