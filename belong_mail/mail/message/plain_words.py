"""Normalize text for comparing words: lower case, without accents and invisible characters."""

import re
import unicodedata
from typing import Final

from belong_mail.mail.message.headers import decoded_words

# Unicode classes of letters and symbols that show nothing.
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Spaces that hardly separate.
_THIN: Final = re.compile("[\u2000-\u200a\u202f\u205f]")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SINGLE: Final = re.compile(r"(?<=\b\w) (?=\w\b)")
_WITHIN: Final = re.compile(r"(?<=\w)[^\w\s]+(?=\w)")


def plain(text: str) -> str:
    """Return a text in lower case, without accents and invisible characters."""
    return _seen(text).casefold()


def plain_words(text: str) -> str:
    """Return a text's plain words, with one space between."""
    return _bare(_seen(text))


def readings(text: str) -> set[str]:
    """Return, as plain words, all that a reader may see in a text.

    Single letters are also joined, words are also read without signs in them, and encoded words
    (RFC 2047) are also decoded.
    """
    found = set()
    for each in {text, _THIN.sub("", text), *decoded_words(text)}:
        seen = _seen(each)
        found |= {_bare(way) for way in (seen, _CAMEL.sub(" ", seen), _WITHIN.sub("", seen))}
    return found | {_SINGLE.sub("", each) for each in found}


def _seen(text: str) -> str:
    """Normalize letters of any width and style (NFKD), without accents and invisible characters."""
    return "".join(each for each in unicodedata.normalize("NFKD", text) if _is_seen(each))


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "M" and category != "Cf" and character not in _FILLERS


def _bare(seen: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", seen.casefold()))
