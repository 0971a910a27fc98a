"""Match the phrases of `phrases.toml` in replies of servers and texts of messages."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

# Characters of a reply that are searched; the reason comes early.
MAX_REPLY_CHARACTERS: Final = 2000
_NAME = r"\{([a-z_]+)\}"


@dataclass(frozen=True, slots=True)
class ReplyPhrase:
    """A phrase of replies, the end of the status it implies, and a phrase that cancels it."""

    pattern: re.Pattern[str]
    status: str = "0.0"
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Idiom:
    """Words that mean “no such address” only together with certain codes."""

    words: re.Pattern[str]
    statuses: re.Pattern[str]
    codes: re.Pattern[str]
    despite: frozenset[str]


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))


def _compiled(lines: list[str], flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    named = _file()["parts"] | _file()["messages"]
    words = re.sub(_NAME, lambda found: f"({'|'.join(named[found[1]])})", "|".join(lines))
    return re.compile(words, flags | re.IGNORECASE)


@cache
def message_phrase(name: str) -> re.Pattern[str]:
    """Return a pattern of the section [messages], compiled at first use."""
    return _compiled(_file()["messages"][name], re.MULTILINE)


def is_said(name: str, text: str) -> bool:
    """Return whether a phrase of [messages] occurs in the text."""
    return message_phrase(name).search(text) is not None


@cache
def reply_phrases() -> dict[str, ReplyPhrase]:
    """Return the section [replies], compiled at first use: it takes half a megabyte."""
    return {
        name: ReplyPhrase(
            _compiled(phrase["says"], re.DOTALL),
            phrase.get("status", "0.0"),
            phrase.get("unless", ""),
        )
        for name, phrase in _file()["replies"].items()
    }


@cache
def idioms() -> tuple[Idiom, ...]:
    """Return the list [[idioms]], compiled at first use."""
    return tuple(
        Idiom(
            words=_compiled([each["words"]]),
            statuses=_compiled([each.get("statuses", ".*")]),
            codes=_compiled([each.get("codes", ".*")]),
            despite=frozenset(each.get("despite", ())),
        )
        for each in _file()["idioms"]
    )


def phrases_in_reply(text: str) -> Iterator[str]:
    """Yield the names of the phrases in the beginning of a reply, in the file's order."""
    beginning, phrases = text[:MAX_REPLY_CHARACTERS], reply_phrases()
    for name, phrase in phrases.items():
        if phrase.pattern.search(beginning) and not (
            phrase.unless and phrases[phrase.unless].pattern.search(beginning)
        ):
            yield name


def known_phrase(text: str) -> str:
    """Return the first phrase's name, or "": it is stored, as a reply may quote addresses."""
    return next(phrases_in_reply(text), "")
