"""Convert newsletters' Markdown to sanitized HTML and to plain text, and list its links.

Beyond CommonMark, a line break is kept, and `[[Come to tea]](https://…)` alone on a line is a
button.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import count, repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import nh3

from belong_mail.mail.message.mime import SURROGATE

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_TAGS: Final = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol",
    "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
    "wbr",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "a": {"href", "title"}, "img": {"src", "alt", "width", "height"}, "ol": {"start"},
    "th": {"scope"},
    **{tag: {"dir"} for tag in ("h2", "h3", "h4", "h5", "h6", "li", "p", "table")},
}  # fmt: skip
_CLASSES: Final = {"a": {"button"}}
# Elements that get dir="auto", as a text may run in the other direction than its page.
_WITH_DIRECTION: Final = {"heading_open", "list_item_open", "paragraph_open", "table_open"}
# A part of a long word, such as a link, that may stand on a line of its own.
_PART: Final = re.compile(r"([!-~\w]{10})(?=[!-~\w]{10})")
_SCHEMES: Final = {"http", "https", "mailto"}
BREAKS: Final = {"softbreak", "hardbreak"}
_MAY_BE_LINK = re.compile(r"://|@|\w\.\w")
# With more candidates, bare links stay text: finding them takes quadratic time.
MAX_BARE_LINKS: Final = 500
# With more marks, a text is not parsed: each mark may cost as much as fifty letters.
MAX_MARKS: Final = 25_000
_MARK = re.compile(r"[\n\r!\[\]*_`<&|~\\]")
# The cost of a bracket or of an image's start, in marks.
_DEAR: Final = 4
# The delimiter row of a table: each row below it gets as many cells.
_RULE = re.compile(r"[ \t>*+.)0-9]*\|?[ \t]*:?-[-:| \t]*")


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image that a text may show by the target `picture:` and its id."""

    cid: str
    width: int
    height: int


Images = Mapping[str, ImageView]
NO_IMAGES: Final[Images] = MappingProxyType({})


def to_html(source: str, pictures: Images = NO_IMAGES) -> str:
    """Return sanitized HTML: only the given images, no relative links, no skipped heading level.

    Slots stay in text; a link to a slot is replaced by its words.
    """
    return _clean_html(list(_tokens(source, pictures)), pictures)


def to_html_and_text(source: str, pictures: Images, picture: str) -> tuple[str, str]:
    """Return HTML and plain text as `to_html` and `to_text` do, parsing the source once."""
    tokens = list(_tokens(source, pictures))
    return _clean_html(tokens, pictures), _plain_text(tokens, picture)


def _clean_html(tokens: list["Token"], pictures: Images) -> str:
    targets = {f"cid:{picture.cid}" for picture in pictures.values()}

    def keep(tag: str, name: str, value: str) -> str | None:
        is_within = value.lower().startswith("cid:")
        return value if is_within == (tag == "img" and name == "src" and value in targets) else None

    parser = _parser("table", "linkify")
    return nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        allowed_classes=_CLASSES,
        url_schemes={*_SCHEMES, "cid"},
        url_relative="deny",
        link_rel=None,
    )


def to_text(source: str, pictures: Images = NO_IMAGES, picture: str = "Picture") -> str:
    """Return plain text that keeps lists, quotes and tables recognizable.

    `picture` is the word for an image in the text's language.
    """
    return _plain_text(_tokens(source, pictures), picture)


def parse(source: str) -> list["Token"]:
    """Parse Markdown, or return it as one text if it would take too long."""
    source = SURROGATE.sub("\ufffd", source)
    if has_too_many_marks(source):
        return _parser().parse(source)
    has_many = len(_MAY_BE_LINK.findall(source)) > MAX_BARE_LINKS
    return (_parser("table") if has_many else _parser("table", "linkify")).parse(source)


@cache
def _parser(*rules: str) -> "MarkdownIt":
    """Return a parser of CommonMark, buttons and these; without any, all is one text."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 3 MB, and most write no newsletter

    options = {"html": False, "linkify": "linkify" in rules, "breaks": True}
    parser = MarkdownIt("commonmark" if rules else "zero", options).enable(rules)
    if rules:
        parser.block.ruler.before(
            "paragraph", "button", _parse_button, {"alt": ["paragraph", "blockquote"]}
        )
    if "linkify" not in rules:
        parser.linkify = None  # a quarter of a megabyte
    return parser


def has_too_many_marks(source: str) -> bool:
    """Return whether a source has too many marks, lines and cells to be parsed."""
    marks = len(_MARK.findall(source)) + (_DEAR - 1) * (source.count("[") + source.count("!["))
    columns = 0
    for line in source.split("\n") if marks <= MAX_MARKS and "|" in source else ():
        if _RULE.fullmatch(line):
            columns = line.count("|") + 1
        elif not line.strip():
            columns = 0
        marks += columns
    return marks > MAX_MARKS


def words_of(image: "Token") -> str:
    """Return an image's description as one line of plain text."""
    words = [
        words_of(child) if child.type == "image" else " " if child.type in BREAKS else child.content
        for child in image.children or []
    ]
    return "".join(words)


def _tokens(source: str, pictures: Images) -> Iterator["Token"]:
    above: list[str] = []
    is_cell = False
    for token in parse(source):
        if is_cell:
            token.children = list(_breakable(token.children or []))
        is_cell = token.type in ("th_open", "td_open")
        if token.type in _WITH_DIRECTION:
            token.attrs["dir"] = "auto"
        if token.type == "th_open":
            token.attrs["scope"] = "col"
        if token.type == "heading_open":
            above = [*(tag for tag in above if tag < token.tag), token.tag]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(len(above) + 1, 6)}"
        children = token.children or []
        if {"link_open", "image"} & {child.type for child in children}:
            token.children = list(_sanitized(children, pictures))
        yield token


def _breakable(tokens: Iterable["Token"]) -> Iterator["Token"]:
    """Let long words break: a cell, and with it the whole email, is as wide as its longest word."""
    for token in tokens:
        if token.type != "text":
            yield token
            continue
        for at, part in enumerate(_PART.split(token.content)):
            yield token.copy(content=part)
            if at % 2:
                yield token.copy(type="wbr", tag="wbr", content="")


def _parse_button(state: "StateBlock", line: int, _end: int, silent: bool) -> bool:  # noqa: FBT001 - its place
    """Parse a line that is one link in two brackets as a paragraph; in a list it is no button."""
    begin = state.bMarks[line] + state.tShift[line]
    if state.blkIndent or state.is_code_block(line) or state.src[begin : begin + 2] != "[[":
        return False
    [inline] = state.md.parseInline(state.src[begin : state.eMarks[line]].rstrip(), state.env)
    words = inline.children or []
    if not _is_button(words):
        return False
    if not silent:
        words[0].attrs = {"class": "button", "href": words[0].attrs["href"]}
        words[1].content = words[1].content[1:]
        words[-2].content = words[-2].content[:-1]
        state.push("paragraph_open", "p", 1)
        state.push("inline", "", 0).children = words
        state.push("paragraph_close", "p", -1)
        state.line = line + 1
    return True


def _is_button(line: list["Token"]) -> bool:
    """Return whether a line consists of one link whose text is in brackets."""
    if len(line) < len(("opens", "words", "closes")):
        return False
    opens, *words, closes = line
    return (
        (opens.type, closes.type) == ("link_open", "link_close")
        and not any(word.type == "link_close" for word in words)
        and words[0].content.startswith("[")
        and words[-1].content.endswith("]")
        and bool("".join(word.content for word in words).strip("[] "))
    )


def _sanitized(tokens: Iterable["Token"], pictures: Images) -> Iterator["Token"]:
    """Remove disallowed links and images, keeping their words."""
    is_allowed = True
    for token in tokens:
        if token.type == "link_open":
            scheme, _, _ = str(token.attrs.get("href", "")).partition(":")
            is_allowed = scheme.lower() in _SCHEMES
        if token.type == "image":
            yield _image(token, pictures)
        elif is_allowed or token.type not in ("link_open", "link_close"):
            yield token


def _image(token: "Token", pictures: Images) -> "Token":
    """Return one of the given images, or the image's description as text."""
    kind, _, name = str(token.attrs.get("src", "")).partition(":")
    shown = pictures.get(name) if kind == "picture" else None
    words = token.copy(type="text", tag="", attrs={}, content=words_of(token), children=None)
    if shown is None:
        return words
    sizes = {"width": shown.width, "height": shown.height}
    attributes: dict[str, str | int | float] = {"src": f"cid:{shown.cid}", "alt": "", **sizes}
    return token.copy(attrs=attributes, children=[words], content=words.content)


Pairs = tuple[tuple[str, str], ...]


def links_of(source: str) -> Pairs:
    """Return each link's target and words."""
    return _links_and_images(source)[0]


def images_of(source: str) -> Pairs:
    """Return each image's target and description."""
    return _links_and_images(source)[1]


@lru_cache(maxsize=8)
def _links_and_images(source: str) -> tuple[Pairs, Pairs]:
    links, images = [], []
    for token in parse(source):
        target, words = "", ""
        for child in token.children or []:
            if child.type == "link_open":
                target, words = str(child.attrs.get("href", "")), ""
            elif child.type == "link_close":
                links.append((target, words))
            elif child.type == "image":
                images.append((str(child.attrs.get("src", "")), words_of(child)))
                words += images[-1][1]
            else:
                words += child.content
    return tuple(links), tuple(images)


# Blocks that an empty line follows; a paragraph of a tight list is hidden.
_APART: Final = {"blockquote_open", "heading_open", "paragraph_open", "table_open"}
_LISTS: Final = {"bullet_list_open", "ordered_list_open"}
_NO_MARKS: Final = repeat("")


def _plain_text(tokens: Iterable["Token"], picture: str) -> str:
    lines, _ = _blocks(iter(tokens), picture)
    return "".join([f"{line.rstrip()}\n" for line in lines])


def _blocks(
    tokens: Iterator["Token"], picture: str, lists: int = 0, marks: Iterator[str] = _NO_MARKS
) -> tuple[list[str], bool]:
    """Write a block's inner blocks, each after its mark; return lines, and whether a gap follows.

    `lists` is the number of lists around them.
    """
    lines, has_gap = list[str](), False
    for token in tokens:
        if token.nesting < 0:
            break
        block, is_apart = _block(token, tokens, picture, lists)
        mark = next(marks)
        indent = " " * len(mark)
        if has_gap and lines and block:
            lines.append("")
        lines += [f"{indent if at else mark}{line}" for at, line in enumerate(block)]
        has_gap = is_apart or (has_gap and not block)
    return lines, has_gap


def _block(
    token: "Token", tokens: Iterator["Token"], picture: str, lists: int
) -> tuple[list[str], bool]:
    """Write the block that a token begins, and consume its tokens; return as `_blocks` does."""
    if token.type == "inline":
        return _text_of(token.children or [], picture).split("\n"), False
    if not token.nesting:
        return (token.content.rstrip("\n") if token.content else "* * *").split("\n"), True
    if token.type in _LISTS:
        start = int(token.attrs.get("start", 1))
        numbers = (f"{number}. " for number in count(start))
        marks = numbers if token.type == "ordered_list_open" else repeat("- ")
        lines, has_gap = _blocks(tokens, picture, lists + 1, marks)
        return lines, has_gap or not lists
    lines, has_gap = _blocks(tokens, picture, lists)
    if token.type == "heading_open":
        lines.append(("=" if token.tag == "h2" else "-") * max(map(len, lines)))
    elif token.type == "blockquote_open":
        lines = [f"> {line}" for line in lines]
    elif token.type in ("tr_open", "th_open", "td_open"):
        lines = [(" | " if token.type == "tr_open" else " ").join(lines)]
    return lines, has_gap or (token.type in _APART and not token.hidden)


def _text_of(tokens: Iterable["Token"], picture: str) -> str:
    """Return the text; a link's target follows in parentheses unless it is the text itself."""
    words: list[str] = []
    target, start, is_button = "", 0, False
    for token in tokens:
        if token.type == "link_open":
            target, start = str(token.attrs.get("href", "")).removeprefix("mailto:"), len(words)
            is_button = "class" in token.attrs
        elif token.type == "link_close":
            text = "".join(words[start:]).rstrip("/")
            if is_button:
                words.append(f":\n{target}")
            elif target.rstrip("/") not in (text, f"http://{text}", f"https://{text}"):
                words.append(f" ({target})")
        elif token.type == "image":
            words.append(f"[{picture}: {token.content}]")
        else:
            words.append("\n" if token.type in ("softbreak", "hardbreak") else token.content)
    return "".join(words)
