"""Words of the sources, of the catalog, and of a page as its reader gets it."""

import re
from functools import cache

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from lxml.html import document_fromstring

from belong_mail.core import i18n
from belong_mail.core.i18n import forms

READ = (
    "//text()[not(parent::style or parent::code)] | //@aria-label | //@title | //@alt"
    " | //@placeholder | //@content"
)
KEYWORDS = {**DEFAULT_KEYWORDS, "_l": None, "gettext_noop": None, "lazy_gettext": None}


@cache
def said() -> set[str | tuple[str, ...]]:
    """Collect what the sources and templates say, as `pybabel extract` would."""
    root = i18n.TRANSLATIONS.parent
    with (i18n.TRANSLATIONS / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping)
    found = extract_from_dir(root, methods, options, KEYWORDS)
    return {message for _file, _line, message, _comments, _context in found}


@cache
def catalog(code: str) -> Catalog:
    with (i18n.TRANSLATIONS / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


@cache
def entries(code: str = "es") -> list[Message]:
    return [message for message in catalog(code) if message.id]


class Reader:
    """Reads a page as a person or a screen reader would: texts, labels, titles."""

    def __init__(self, page: str) -> None:
        root = document_fromstring(page)
        self.language = root.get("lang", "")
        found = (" ".join(words.split()) for words in root.xpath(READ))
        self.pieces = [words for words in found if words]


def english_in(pieces: list[str]) -> list[str]:
    """List the catalog's English that is still there: short words alone, sentences anywhere."""
    whole = " ".join(pieces)
    return [
        words
        for message in entries()
        for words, other in zip(forms(message.id), forms(message.string), strict=True)
        if words != other
        # Most are not there at all, and a pattern that begins with a gap takes long to say so.
        and all(each in whole for each in _fixed_parts(words))
        and (
            _pattern(words).search(whole)
            if len(words.split()) > 2
            else any(_pattern(words).fullmatch(piece) for piece in pieces)
        )
    ]


@cache
def _fixed_parts(words: str) -> list[str]:
    """Return what stands between the gaps of a message, its tags left out."""
    return re.split(r"%\(\w+\)\w", re.sub(r"<[^>]+>", "", words))


@cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(".+?".join(map(re.escape, _fixed_parts(words))))
