"""Normalize text for comparing words: lower case, no accents, no invisible characters."""

import re
import unicodedata
from typing import Final

from belong_mail.mail.message.headers import decoded_words

# Letters and symbols that look like a space or like nothing.
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Spaces too narrow to be seen as separators.
_NARROW_SPACE: Final = re.compile("[\u2000-\u200a\u202f\u205f]")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SPACED_LETTERS: Final = re.compile(r"(?<=\b\w) (?=\w\b)")
_WITHIN: Final = re.compile(r"(?<=\w)[^\w\s]+(?=\w)")


def plain(text: str) -> str:
    """Return a text in lower case, without accents and invisible characters."""
    return _decomposed(text).casefold()


def plain_words(text: str) -> str:
    """Return the normalized words of a text, separated by single spaces."""
    return _bare(_decomposed(text))


def readings(text: str) -> set[str]:
    """Return all that a reader may see in a text, each as normalized words.

    Single letters are also joined, punctuation within words is also removed, and encoded words (RFC
    2047) are also decoded.
    """
    found = set()
    for each in {text, _NARROW_SPACE.sub("", text), *decoded_words(text)}:
        seen = _decomposed(each)
        found |= {_bare(way) for way in (seen, _CAMEL.sub(" ", seen), _WITHIN.sub("", seen))}
    return found | {_SPACED_LETTERS.sub("", each) for each in found}


def _decomposed(text: str) -> str:
    """Decompose letters of any width and style (NFKD); drop accents and invisible characters."""
    return "".join(each for each in unicodedata.normalize("NFKD", text) if _is_visible(each))


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "M" and category != "Cf" and character not in _FILLERS


def _bare(seen: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", seen.casefold()))
