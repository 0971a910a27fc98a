"""Name what HTML fetches, runs or sends when an email is opened: what no email of ours holds."""

import re
from collections.abc import Collection
from typing import Any

from lxml.html import document_fromstring

TAGS = frozenset((
    "html", "head", "meta", "title", "style", "body", "div", "span", "table", "tbody", "thead",
    "tr", "td", "th", "a", "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li",
    "strong", "em", "blockquote", "pre", "code",
))  # fmt: skip
ATTRIBUTES = frozenset((
    "lang", "dir", "class", "style", "role", "width", "height", "cellpadding", "cellspacing",
    "border", "align", "bgcolor", "aria-hidden", "alt", "title", "start", "scope",
))  # fmt: skip
FURTHER = {
    "a": {"href"}, "meta": {"charset", "name", "content"},
    "o:officedocumentsettings": {"xmlns:o"},
}  # fmt: skip
# Attributes that hold words or have a check of their own.
OF_WORDS = frozenset(("style", "title", "alt"))
# The part that Outlook for Windows alone reads.
FOR_OUTLOOK = re.compile(r"\[if mso\]>(.*)<!\[endif\]", re.DOTALL)
OUTLOOK_TAGS = frozenset(("xml", "o:officedocumentsettings", "o:pixelsperinch"))
# Beginnings of what is no tag, no comment and no doctype.
ODD = re.compile(r"<(?![a-z/]|!--|!doctype html>|!\[endif\]-->)", re.IGNORECASE)
# Parts of a style that may fetch something, or say so in disguise.
ACTIVE_STYLE = re.compile(r"\\|@(?!media\b)|[\w-]\(|behavio|binding|<|/\*", re.IGNORECASE)


def remote_content(page: str, further: Collection[str] = ()) -> list[str]:
    """Return what is not known to be harmless, in an email without pictures."""
    found = ODD.findall(page)
    for each in document_fromstring(page).xpath("/descendant::node()[not(self::text())]"):
        within = FOR_OUTLOOK.fullmatch(each.text or "")
        if not isinstance(each.tag, str) and within:
            found += remote_content(f"<body>{within[1]}", OUTLOOK_TAGS)
        elif each.tag in TAGS or each.tag in further:
            found += _active(each)
        else:
            found.append(f"<{each.tag}>")
    return found


def _active(tag: Any) -> list[str]:
    """List a tag's attributes that may fetch something, and its style."""
    found = [tag.text] if tag.tag == "style" and ACTIVE_STYLE.search(tag.text or "") else []
    for name, value in tag.attrib.items():
        if (
            name not in ATTRIBUTES | FURTHER.get(tag.tag, set())
            or (name == "style" and ACTIVE_STYLE.search(value))
            or (name in ATTRIBUTES - OF_WORDS and re.search(r"//|\(|:", value))
        ):
            found.append(f"{name}={value}")
    return found
