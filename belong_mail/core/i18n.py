"""Languages: catalogs from .po files, and dates, times and numbers in words."""

import gettext
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Any, Self
from unicodedata import bidirectional
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date as babel_date
from babel.dates import format_skeleton, format_timedelta, parse_date
from babel.dates import format_time as babel_time
from babel.lists import format_list
from babel.numbers import format_decimal

from belong_mail.core.district import Names, filler
from belong_mail.core.environment import RESOURCES
from belong_mail.core.translatable import gettext_noop

# The languages by code, each by its own name. All but the default have a catalog.
NAMES = {"en": "English", "es": "Español"}
DEFAULT = "en"
# The languages besides the default, in which texts may also be written.
OTHER_LANGUAGES = tuple(code for code in NAMES if code != DEFAULT)
# A text in several languages, by code.
LocalizedText = dict[str, str]
TRANSLATIONS = RESOURCES / "translations"
# Date patterns that replace CLDR's, as in “martes 3 de marzo de 2026”.
FULL_DAY = {"es": "EEEE d 'de' MMMM 'de' y"}
# A space at which no line breaks. A line may break after a dash: a word joiner (U+2060) would
# forbid that, but shows as a box in some mail programs.
UNBROKEN = "\u00a0"
# Numbers are written as in the US: “3,000”, which is “3.000” in Spain.
NUMBERS = {"es": "es_US"}


# A date in ISO 8601, and one as people type it.
ISO_DAY, NUMERIC_DAY = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
_locale = cache(Locale.parse)
# Pages repeat the same days and hours, and Babel takes 50 µs for each.
_kept = lru_cache(maxsize=2000)


def known_language(code: object) -> str:
    """Return the code if it is one of our languages, else the default."""
    return code if isinstance(code, str) and code in NAMES else DEFAULT


def text_direction(code: str) -> str:
    """Return `rtl` or `ltr`, by how a language writes its own name."""
    return "rtl" if bidirectional(NAMES[code][0]) in {"R", "AL"} else "ltr"


# The names filled into catalogs: a process serves one district.
_chosen: dict[str, Names] = {}


def use_names(names: Names) -> None:
    """Set the names of site and district that catalogs contain."""
    if names != _chosen.get("names"):
        _chosen["names"] = names
        catalog.cache_clear()


def names() -> Names:
    return _chosen["names"]


class Catalog:
    """A language's translations by the English source, with the names filled in."""

    def __init__(self, code: str) -> None:
        self._said, self._form_of = ({}, int) if code == DEFAULT else _read_po(code)
        self._filled = cache(filler(_chosen.get("names")))

    def gettext(self, message: str) -> str:
        words = self._said.get(message, (message,))[0]
        return self._filled(words) if "%(" in words else words

    def ngettext(self, one: str, many: str, number: int) -> str:
        if one in self._said:
            return self._filled(self._said[one][self._form_of(number)])
        return self.gettext(one if number == 1 else many)


# Returns a language's catalog, which is read once.
catalog = cache(Catalog)


def _read_po(code: str) -> tuple[dict[str, tuple[str, ...]], Callable[[int], int]]:
    """Read a language's catalog: the forms of each message, and which form a number takes."""
    from babel.messages import pofile  # noqa: PLC0415 - many processes say no word of it

    with (TRANSLATIONS / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        messages = pofile.read_po(file, locale=code)
    said = {forms(each.id)[0]: forms(each.string or "") for each in messages if not each.fuzzy}
    is_said = {source: words for source, words in said.items() if all(words)}
    return is_said, gettext.c2py(messages.plural_expr)


def forms(words: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return singular and plural, or the one form there is."""
    return (words,) if isinstance(words, str) else tuple(words or ())


class TextIn(str):  # noqa: SLOT000 - it has one more attribute
    """A text with the language that it is written in, which may not be the reader's."""

    language: str

    def __new__(cls, words: str, language: str) -> Self:
        text = super().__new__(cls, words)
        text.language = language
        return text

    def __deepcopy__(self, _memo: object) -> Self:
        """Return the text itself: a dataclass is copied deeply when it becomes a dict."""
        return self


def group_in_sentence(name: str, language: str) -> str:
    """Return a group's name for use in a sentence: “the Asian Belong Group”, “grupo Asian”."""
    say = catalog(language).gettext
    pattern = (
        say(gettext_noop("%(group)s %(program_name)s Group"))
        if name.startswith("The ")
        else say(gettext_noop("the %(group)s %(program_name)s Group"))
    )
    return pattern % {"group": name}


@cache
def language_name(code: str, reader: str) -> str:
    """Return a language's name for a reader, as in “Spanish” or “español”."""
    return _locale(code).get_display_name(reader) or NAMES[code]


def language_list(codes: Iterable[str], reader: str) -> str:
    """Join the names of languages, as in “English and Spanish”."""
    return list_of([language_name(code, reader) for code in codes], reader)


def list_of(words: Sequence[str], code: str) -> str:
    """Join words, as in “one, two, and three”."""
    return format_list(words, locale=_locale(code))


def sensitive_words(section: str) -> list[Any]:
    """Return a section of each language's `translations/CODE/sensitive_words.json`."""
    files = (TRANSLATIONS / code / "sensitive_words.json" for code in NAMES)
    return [json.loads(file.read_bytes())[section] for file in files]


def format_date(moment: datetime, code: str, zone: ZoneInfo) -> str:
    """Return a local date, as in “Tuesday, March 3, 2026”."""
    return format_day(moment.astimezone(zone).date(), code)


@_kept
def format_day(day: date, code: str, width: str = "full") -> str:
    """Return a date: `full` with its weekday, `long` without, `short` without its year.

    The space before the year does not break.
    """
    if width == "short":
        return format_skeleton("MMMMd", day, locale=_locale(code))
    pattern = FULL_DAY.get(code, width) if width == "full" else width
    return UNBROKEN.join(babel_date(day, pattern, locale=_locale(code)).rsplit(" ", 1))


def format_numeric(day: date, code: str) -> str:
    """Return a date as people type it, as in “3/31/2026”."""
    return format_skeleton("yMd", day, locale=_locale(code))


def read_day(text: str, code: str) -> date:
    """Parse a date as people type it in a language, or as browsers send it. Raises ValueError."""
    if NUMERIC_DAY.fullmatch(text):
        return parse_date(text, locale=_locale(code))
    if not ISO_DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def format_month(day: date, code: str) -> str:
    """Return a month, as in “March 2026”."""
    return format_skeleton("yMMMM", day, locale=_locale(code))


def format_weekday(day: date, code: str) -> str:
    return babel_date(day, "EEEE", locale=_locale(code))


@_kept
def format_short(day: date, code: str, part: str) -> str:
    """Return a part of a date in a short form: `EEE` its weekday, `MMM` its month."""
    return babel_date(day, part, locale=_locale(code)).rstrip(".")


def format_time(moment: datetime, code: str, zone: ZoneInfo) -> str:
    """Return a local date and time, as in “Tuesday, March 3, 2026, 4:00 PM”."""
    local = moment.astimezone(zone)
    return f"{format_day(local.date(), code)}, {format_clock(local.time(), code)}"


def format_clock(clock: time, code: str) -> str:
    """Return a time of day, as in “4:00 PM”."""
    return UNBROKEN.join(_clock_parts(clock, code))


def format_hours(starts: time, ends: time, code: str) -> str:
    """Return a span of hours, as in “4:00 – 5:00 PM”, or “11:30 AM – 12:30 PM” over noon."""
    first, last = _clock_parts(starts, code), _clock_parts(ends, code)
    begins = first[:1] if first[1] == last[1] else first
    return UNBROKEN.join([*begins, "–", *last])


def at_start(words: str) -> str:
    return words[:1].upper() + words[1:]


@_kept
def _clock_parts(clock: time, code: str) -> tuple[str, str]:
    """Return a time on a twelve-hour clock, as “4:00”, and its half of the day, as “PM”."""
    half = babel_time(clock, "a", locale=_locale(code))
    return babel_time(clock, "h:mm", locale=_locale(code)), UNBROKEN.join(half.split())


def format_number(number: int, code: str) -> str:
    """Return a number, as in “12,000”."""
    return format_decimal(number, locale=_locale(NUMBERS.get(code, code)))


def format_wait(wait: timedelta, code: str) -> str:
    """Return a wait in whole minutes, rounded up, as in “5 minutes”."""
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    return format_timedelta(timedelta(minutes=minutes), threshold=2, locale=_locale(code))
