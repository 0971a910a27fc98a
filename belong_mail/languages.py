"""The languages we speak: catalogs read from the .po files, dates in words."""

import io
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

NAMES = {"en": "English", "es": "Español"}
DEFAULT = "en"
FOLDER = Path(__file__).resolve().parent.parent / "translations"
DATE = {"en": "EEEE, MMMM d, y", "es": "EEEE, d 'de' MMMM 'de' y"}
MONTH = {"en": "MMMM y", "es": "MMMM 'de' y"}
CLOCK = {"en": "h:mm a", "es": "h:mm a"}


def known(code: str | None) -> str:
    """Return a code we speak: the given one, or the default."""
    return code if code in NAMES else DEFAULT


def marked(words: str) -> str:
    """Mark words for the catalogs that are translated where they are shown."""
    return words


@cache
def catalog(code: str) -> Translations:
    """Read the catalog of a language, once. English is what the sources say."""
    if code == DEFAULT:
        return Translations()
    with (FOLDER / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        messages = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return Translations(fp=compiled)


def date_in_words(moment: datetime, code: str, zone: ZoneInfo) -> str:
    return format_datetime(moment, DATE[code], tzinfo=zone, locale=code)


def time_in_words(moment: datetime, code: str, zone: ZoneInfo) -> str:
    """Return date and time, local, as in “Tuesday, March 3, 2026, 4:00 PM”."""
    clock = format_datetime(moment, CLOCK[code], tzinfo=zone, locale=code)
    return f"{date_in_words(moment, code, zone)}, {clock}"
