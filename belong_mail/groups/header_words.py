"""Words that no header of a group's email may contain: its names, and words that identify it.

A word also matches its plural. With a star at its end it matches every word that begins with it;
with one at each end it matches anywhere, even across spaces and punctuation.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from sqlalchemy.orm import Session, object_session

from belong_mail.core import site_settings
from belong_mail.core.district import Names
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.core.i18n import names as site_names
from belong_mail.core.i18n import sensitive_words
from belong_mail.core.site_settings import SiteSetting
from belong_mail.groups.models import Group
from belong_mail.groups.seeds import GROUPS
from belong_mail.mail.message.plain_words import plain_words, readings

# The setting with the office's words for all discreet groups.
SITE_WORDS = "discreet_words"
# Further words are ignored, as the web could write any number and each header is compared with all.
MAX_WORDS, MAX_CHARACTERS = 200, 60
# No header is longer (RFC 5322 2.1.1).
MAX_HEADER = 998


def _by_group(section: str) -> dict[str, tuple[str, ...]]:
    """Merge the words of all languages, by group slug."""
    found: dict[str, tuple[str, ...]] = {}
    for table in sensitive_words(section):
        for slug, words in table.items():
            found[slug] = (*found.get(slug, ()), *words)
    return found


# Other names of the district's groups, by slug.
NAMES: Final = _by_group("names")
# Words by topic that would identify a group to anyone. A topic with the slug of a group makes each
# group with such a name discreet; the others count for groups that the office has marked.
IDENTIFYING: Final = _by_group("identifying")
# Well-known emoji, without skin tones and style variants.
SYMBOLS: Final[dict[str, tuple[str, ...]]] = {
    "lgbtq": (
        *"🌈⚧⚢⚣⚤⚥⚦⚨⚩👬👭", "👨\u200d👨", "👩\u200d👩", "👨\u200d❤\u200d👨", "👩\u200d❤\u200d👩",
        "👨\u200d❤\u200d💋\u200d👨", "👩\u200d❤\u200d💋\u200d👩",
        # The colors of a rainbow or of a flag, in a row.
        "🧡💛💚", "🟧🟨🟩", "🟠🟡🟢", "🩵🩷🤍", "💙🩷🤍", "💛🤍💜", "💗💜💙", "🩷💜💙", "🧡🤍🩷",
    ),
    "people-with-disabilities": (*"♿🦽🦼🦯🦻🧏🦮🦾🦿🤟♾", "🐕\u200d🦺"),
    "autoimmune": tuple("🎗💉💊"),
    "faith": tuple("☪🕌🕋✡🕎🔯✝☦⛪🕍☸🕉🛐📿"),
    "race": tuple("✊"),
}  # fmt: skip


_DRAWN: Final = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")


# Words in names that do not identify a group.
COMMON: Final = frozenset((
    "a", "affinity", "all", "allies", "ally", "alliance", "and", "at", "belong", "by", "circle",
    "club", "colleague", "colleagues", "committee", "community", "council", "de", "del",
    "educator", "educators", "el", "employee", "employees", "en", "erg", "families", "for",
    "friends", "from", "group", "groups", "grupo", "in", "la", "las", "los", "members", "network",
    "new", "of", "on", "our", "para", "people", "por", "public", "red", "school", "schools",
    "staff", "teacher", "teachers", "team", "the", "to", "with", "y",
))  # fmt: skip


# The names of the district's groups for which these words were chosen.
SEEDED: Final[dict[str, str]] = {each["slug"]: each["name"] for each in GROUPS}
# Letters; shorter words are not searched inside an address.
SHORT: Final = 4
# Letters from which a word of a name also matches longer words.
STEM: Final = 5


def is_discreet(group: Group) -> bool:
    """Return whether a group's name alone reveals something private about its members.

    The office marks such groups. A group whose name is or was like that of a discreet group of the
    district needs no mark, which the web could remove.
    """
    return bool(group.is_discreet) or needs_no_mark(group)


def needs_no_mark(group: Group) -> bool:
    """Return whether a group is discreet by its name, whatever its mark."""
    return not NAMES.keys().isdisjoint(_topics(group.slug, _names(group)))


def identifying_word(group: Group, text: str) -> str:
    """Return the word in a header that identifies its group, or ""."""
    return word_finder(group)(text)


def word_finder(group: Group) -> Callable[[str], str]:
    """Return `identifying_word` as a function that has read the group's words already.

    A text too long for a header counts as found: comparing it would take long.
    """
    words, topics = _words_of(group), _topics(group.slug, _names(group))
    symbols = [sign for topic in topics for sign in SYMBOLS.get(topic, ())]

    def find(text: str) -> str:
        if len(text) > MAX_HEADER:
            return text[:MAX_CHARACTERS]
        drawn = _DRAWN.sub("", text)
        return next((sign for sign in symbols if sign in drawn), "") or words.found_in(text)

    return find


def found_phrase(phrases: Iterable[str], text: str) -> str:
    """Return the first phrase that a text contains, or ""."""
    return _HeaderWords(each.casefold() for each in phrases).found_in(text)


def tells_by_address(group: Group, address: str) -> bool:
    """Return whether an address identifies a discreet group, even with its words run together.

    Other groups' leaders may choose a mailbox like “asian-leads@…”.
    """
    return is_discreet(group) and _words_of(group).is_within(address)


class _HeaderWords:
    """The words of one group, compiled into one pattern."""

    def __init__(self, words: Iterable[str]) -> None:
        self._said = [
            (word, plain_words(word)) for word in dict.fromkeys(words) if plain_words(word)
        ]
        self._anywhere = [pair for pair in self._said if pair[0].startswith("*")]
        whole = [pair for pair in self._said if not pair[0].startswith("*")]
        self._whole = [word for word, _ in whole]
        each = (f"({_pattern(word)})" for word in self._whole)
        self._pattern = re.compile(rf"\b(?:{'|'.join(each) or '(?!)'})\b")

    def found_in(self, text: str) -> str:
        """Return a word that a text contains, as it is listed, or ""."""
        for reading in sorted(readings(text)):
            found = self._pattern.search(reading)
            if found:
                return self._whole[(found.lastindex or 1) - 1].replace("*", "")
            run = reading.replace(" ", "")
            for word, bare in self._anywhere:
                if bare in run:
                    return word.replace("*", "")
        return ""

    def is_within(self, address: str) -> bool:
        bare = [said.replace(" ", "") for _, said in self._said]
        runs = [reading.replace(" ", "") for reading in readings(address)]
        within = any(word in run for word in bare if len(word) >= SHORT for run in runs)
        return within or bool(self.found_in(address))


def _pattern(word: str) -> str:
    """Return a pattern for a word or phrase, singular or plural, with or without its spaces.

    The space after a star is required, as backtracking would otherwise take very long.
    """
    parts = [
        plain_words(part) + ("[a-z0-9]*" if part.endswith("*") else "")
        for part in word.split()
        if plain_words(part)
    ]
    joined = " ?".join(parts).replace("* ?", "* ")
    return joined + ("" if joined.endswith("*") else "(?:e?s)?")


def _names(group: Group) -> tuple[str, ...]:
    """Return each name that a group has had, the current one first."""
    names = (group.name, *(group.known_names or ()))
    return tuple(dict.fromkeys(each[:MAX_CHARACTERS] for each in names))[:MAX_WORDS]


def _words_of(group: Group) -> _HeaderWords:
    """Return all words for a group: its names, its own words, the office's, and its topics'."""
    typed = group.identifying_words or {}
    lines = [line for code in LANGUAGES for line in _listed(typed.get(code))]
    slug, topics = group.slug[:MAX_CHARACTERS], tuple[str, ...]()
    if is_discreet(group):
        lines += words_beside(group)
        topics = _topics(slug, _names(group))
    further = tuple(line.casefold() for line in lines)
    return _words(slug, _names(group), further, topics, _phrases(site_names()))


@lru_cache(maxsize=64)
def _topics(slug: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the topics of IDENTIFYING that are a group's slug, or have a word of its names."""
    told = {topic: _HeaderWords(_words_of_topic(topic)) for topic in IDENTIFYING}
    return tuple(
        topic
        for topic, words in told.items()
        if topic == slug or any(map(words.found_in, (*names, slug)))
    )


def _words_of_topic(topic: str) -> tuple[str, ...]:
    return (*NAMES.get(topic, ()), *IDENTIFYING[topic])


@lru_cache(maxsize=64)
def _words(
    slug: str,
    names: tuple[str, ...],
    further: tuple[str, ...],
    topics: tuple[str, ...],
    ours: tuple[str, ...],
) -> _HeaderWords:
    words = [*NAMES.get(slug, ()), *further]
    for name in names:
        words += _own(slug, name, ours)
    for topic in topics:
        words += _words_of_topic(topic)
    return _HeaderWords(words)


@lru_cache(maxsize=8)
def _phrases(ours: Names) -> tuple[str, ...]:
    """Return the names of site and district, longest first, which identify no group.

    Their single words may: a group “Black Educators” in a district “Black Hawk”.
    """
    names = (ours.site_name, ours.district_name, ours.district_short, ours.program_name)
    return tuple(sorted(filter(None, map(_spaced, names)), key=len, reverse=True))


def _spaced(name: str) -> str:
    return " ".join(re.findall(r"\w+", name.casefold()))


def _own(slug: str, name: str, ours: tuple[str, ...]) -> Iterator[str]:
    """Yield a group's name, slug and parts of its name; also each word, unless SEEDED has it."""
    yield from (name, slug.replace("-", " "))
    yield from (part for part in re.split(r"[/&,|]", name) if part.strip() != name)
    if SEEDED.get(slug) != name:
        said = _spaced(name if slug in SEEDED else f"{name} {slug}")
        for each in ours:
            said = re.sub(rf"\b{each}\b", " ", said)
        for word in said.split():
            if word not in COMMON and len(word) > 1:
                yield f"{word.removesuffix('s')}*" if len(word) >= STEM else word


def site_words(session: Session) -> tuple[str, ...]:
    """Return the office's words as they were typed."""
    with session.no_autoflush:
        found = session.get(SiteSetting, SITE_WORDS)
    return _listed(found.value) if found is not None else ()


def _listed(value: str | None) -> tuple[str, ...]:
    lines = (value or "").splitlines()
    words = (each.strip()[:MAX_CHARACTERS] for each in lines)
    return tuple(each for each in words if each)[:MAX_WORDS]


def words_beside(group: Group) -> tuple[str, ...]:
    """Return the office's words for a stored group; none for one without a session.

    A removed word counts until the office was notified.
    """
    session = object_session(group)
    if session is None:
        return ()
    with session.no_autoflush:
        found = session.get(SiteSetting, SITE_WORDS)
    return (*_listed(found.value), *_listed(found.announced)) if found is not None else ()


def change_site_words(session: Session, words: Iterable[str]) -> None:
    site_settings.store(session, SITE_WORDS, "\n".join(words) or None)
