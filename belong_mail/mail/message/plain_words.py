"""Text as it is compared with words: in small letters, without accents and what cannot be seen."""

import re
import unicodedata
from typing import Final

from belong_mail.mail.message.headers import decoded_words

# Letters and symbols, by Unicode's classes, that show nothing.
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Spaces that hardly part what they stand between.
_THIN: Final = re.compile("[\u2000-\u200a\u202f\u205f]")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SINGLE: Final = re.compile(r"(?<=\b\w) (?=\w\b)")
_WITHIN: Final = re.compile(r"(?<=\w)[^\w\s]+(?=\w)")


def plain(text: str) -> str:
    """Return a text in small letters, without accents and what cannot be seen."""
    return _seen(text).casefold()


def plain_words(text: str) -> str:
    """Return a text's words in plain small letters, with one space between."""
    return _bare(_seen(text))


def readings(text: str) -> set[str]:
    """Return in plain words all that an eye may read in a text.

    Letters that stand alone are also read together, words also without the signs in them, and an
    encoded word (RFC 2047) also as what it says.
    """
    found = set()
    for each in {text, _THIN.sub("", text), *decoded_words(text)}:
        seen = _seen(each)
        found |= {_bare(way) for way in (seen, _CAMEL.sub(" ", seen), _WITHIN.sub("", seen))}
    return found | {_SINGLE.sub("", each) for each in found}


def _seen(text: str) -> str:
    """Write letters of any width and style alike (NFKD), without accents and what is not seen."""
    return "".join(each for each in unicodedata.normalize("NFKD", text) if _is_seen(each))


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "M" and category != "Cf" and character not in _FILLERS


def _bare(seen: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", seen.casefold()))
