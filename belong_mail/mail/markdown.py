"""Markdown as people write it in newsletters: to sanitised HTML, and to readable plain text."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from belong_mail.mail.plain import Plain

_SURROGATE = re.compile("[\ud800-\udfff]")
_TAGS: Final = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES: Final = {"http", "https", "mailto"}
BREAKS: Final = {"softbreak", "hardbreak"}
_PARSER: Final = MarkdownIt("commonmark", {"html": False, "linkify": True}).enable(
    ["linkify", "table"]
)
_WITHOUT_LINKIFY: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
_MAY_BE_LINK = re.compile(r"://|@|\w\.\w")
MAX_BARE_LINKS: Final = 500
"""Above it bare links stay text, for finding them takes the square of their number."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that a text may show as `picture:` and its id."""

    cid: str
    width: int
    height: int


Pictures = Mapping[str, Shown]
NO_PICTURES: Final[Pictures] = MappingProxyType({})


def to_html(source: str, pictures: Pictures = NO_PICTURES) -> str:
    """Return safe HTML: the given pictures alone, no relative links, headings without gaps.

    Slots survive as text; as the target of a link they are dropped, and the words remain.
    """
    rendered = _PARSER.renderer.render(list(_tokens(source, pictures)), _PARSER.options, {})
    if not pictures:
        return nh3.clean(rendered, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES,
                         url_relative="deny", link_rel=None)  # fmt: skip
    targets = {f"cid:{picture.cid}" for picture in pictures.values()}

    def keep(tag: str, name: str, value: str) -> str | None:
        is_within = value.lower().startswith("cid:")
        return value if is_within == (tag == "img" and name == "src" and value in targets) else None

    return nh3.clean(
        rendered,
        tags=_TAGS | {"img"},
        attributes=_ATTRIBUTES | {"img": {"src", "alt", "width", "height"}},
        attribute_filter=keep,
        url_schemes=_SCHEMES | {"cid"},
        url_relative="deny",
        link_rel=None,
    )


def to_text(source: str, pictures: Pictures = NO_PICTURES, picture: str = "Picture") -> str:
    """Return plain text in which lists, quotes and tables can still be told apart.

    `picture` is what the text's language calls one.
    """
    return Plain(picture).write(_tokens(source, pictures))


def parse(source: str) -> list[Token]:
    """Return the tokens of a source as it was written."""
    source = _SURROGATE.sub("\ufffd", source)
    has_many = len(_MAY_BE_LINK.findall(source)) > MAX_BARE_LINKS
    return (_WITHOUT_LINKIFY if has_many else _PARSER).parse(source)


def words_of(image: Token) -> str:
    """Return an image's description on one line, without its marks."""
    words = [
        words_of(child) if child.type == "image" else " " if child.type in BREAKS else child.content
        for child in image.children or []
    ]
    return "".join(words)


def _tokens(source: str, pictures: Pictures) -> Iterator[Token]:
    above: list[str] = []
    for token in parse(source):
        if token.type == "heading_open":
            above = [*(tag for tag in above if tag < token.tag), token.tag]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(len(above) + 1, 6)}"
        token.children = list(_harmless(token.children or [], pictures))
        yield token


def _harmless(tokens: Iterable[Token], pictures: Pictures) -> Iterator[Token]:
    """Leave out images and links that are not allowed, and keep their words."""
    is_allowed = True
    for token in tokens:
        if token.type == "link_open":
            scheme, _, _ = str(token.attrs.get("href", "")).partition(":")
            is_allowed = scheme.lower() in _SCHEMES
        if token.type == "image":
            yield _picture(token, pictures)
        elif is_allowed or token.type not in ("link_open", "link_close"):
            yield token


def _picture(token: Token, pictures: Pictures) -> Token:
    """Return the image as one of the given pictures, else as its words."""
    kind, _, name = str(token.attrs.get("src", "")).partition(":")
    shown = pictures.get(name) if kind == "picture" else None
    words = Token("text", "", 0, content=words_of(token))
    if shown is None:
        return words
    sizes = {"width": shown.width, "height": shown.height}
    attributes: dict[str, str | int | float] = {"src": f"cid:{shown.cid}", "alt": "", **sizes}
    return Token("image", "img", 0, attrs=attributes, children=[words], content=words.content)
