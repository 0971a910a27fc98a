"""Name what HTML fetches, runs or sends when an email is opened: what no email of ours holds."""

import re
from collections.abc import Collection
from html.parser import HTMLParser

TAGS = frozenset((
    "html", "head", "meta", "title", "style", "body", "div", "span", "table", "tbody", "thead",
    "tr", "td", "th", "a", "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li",
    "strong", "em", "blockquote", "pre", "code", "img",
))  # fmt: skip
ATTRIBUTES = frozenset((
    "lang", "dir", "class", "style", "role", "width", "height", "cellpadding", "cellspacing",
    "border", "align", "bgcolor", "aria-hidden", "alt", "title", "start", "scope",
))  # fmt: skip
FURTHER = {"a": {"href"}, "img": {"src"}, "meta": {"charset", "name", "content"}}
# Attributes that hold words or have a check of their own.
OF_WORDS = frozenset(("style", "title", "alt"))
# The part that Outlook for Windows alone reads.
FOR_OUTLOOK = re.compile(r"\[if mso\]>(.*)<!\[endif\]", re.DOTALL)
OUTLOOK_TAGS = frozenset(("xml", "o:officedocumentsettings", "o:pixelsperinch"))
# Parts of a style that may fetch something, or say so in disguise.
ACTIVE_STYLE = re.compile(r"\\|@(?!media\b)|[\w-]\(|behavio|binding|<|/\*", re.IGNORECASE)


def remote_content(html: str, cids: Collection[str] = ()) -> list[str]:
    """Return what is not known to be harmless; pictures that travel along have these ids."""
    return _found(html, cids, frozenset())


def _found(html: str, cids: Collection[str], further: frozenset[str]) -> list[str]:
    reader = _Reader(cids, further)
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self, cids: Collection[str], further: frozenset[str]) -> None:
        super().__init__(convert_charrefs=False)
        self._cids, self._further = cids, further
        self._is_style = False
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS | self._further:
            self.found.append(f"<{tag}>")
        allowed = ATTRIBUTES | ({"xmlns:o"} if tag in self._further else FURTHER.get(tag, set()))
        self.found += [name for name, _ in attrs if name not in allowed]
        for name, value in attrs:
            self._look_at(tag, name, value or "")
        self._is_style = tag == "style"

    def _look_at(self, tag: str, name: str, value: str) -> None:
        is_carried = value.startswith("cid:") and value.removeprefix("cid:") in self._cids
        if (
            (name == "style" and ACTIVE_STYLE.search(value))
            or (name == "src" and not (tag == "img" and is_carried))
            or (name in ATTRIBUTES - OF_WORDS and re.search(r"//|\(|:", value))
        ):
            self.found.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._is_style = self._is_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if (ACTIVE_STYLE.search(data)) if self._is_style else "<" in data:
            self.found.append(data)

    def handle_comment(self, data: str) -> None:
        within = FOR_OUTLOOK.fullmatch(data)
        self.found += _found(within[1], self._cids, OUTLOOK_TAGS) if within else ["<!--"]

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.found.append("<!")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}")
