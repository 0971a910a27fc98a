"""Plain text from Markdown: lists, quotes and tables can still be told apart."""

from collections.abc import Iterable
from typing import Final

from markdown_it.token import Token

_ENDS_A_BLOCK: Final = {
    "blockquote_close", "bullet_list_close", "heading_close", "ordered_list_close",
    "paragraph_close", "table_close",
}  # fmt: skip


class Plain:
    """A walk over the tokens that knows what each coming line begins with."""

    def __init__(self, picture: str) -> None:
        self._picture = picture
        self._lines: list[str] = []
        self._margins: list[str] = []
        self._marks: dict[int, str] = {}
        """What stands once in place of the margin at that depth, such as a list's dash."""
        self._numbers: list[int | None] = []
        self._cells: list[str] | None = None
        self._gap_depth: int | None = None
        self._width = 0

    def write(self, tokens: Iterable[Token]) -> str:
        """Return the text of the tokens."""
        for token in tokens:
            if token.type == "inline":
                self._inline(token)
            elif token.type in ("fence", "code_block", "hr"):
                self._put(token.content.rstrip("\n") if token.content else "* * *")
                self._gap()
            elif token.nesting > 0:
                self._enter(token)
            else:
                self._leave(token)
        return "".join(f"{line}\n" for line in self._lines)

    def _enter(self, token: Token) -> None:
        if token.type == "bullet_list_open":
            self._numbers.append(None)
        elif token.type == "ordered_list_open":
            self._numbers.append(int(token.attrs.get("start", 1)))
        elif token.type == "list_item_open":
            number = self._numbers[-1]
            mark = "- " if number is None else f"{number}. "
            if number is not None:
                self._numbers[-1] = number + 1
            self._marks[len(self._margins)] = mark
            self._margins.append(" " * len(mark))
        elif token.type == "blockquote_open":
            self._margins.append("> ")
        elif token.type == "tr_open":
            self._cells = []

    def _leave(self, token: Token) -> None:
        if token.type in ("list_item_close", "blockquote_close"):
            self._margins.pop()
            self._marks.pop(len(self._margins), None)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            self._numbers.pop()
        elif token.type == "tr_close":
            cells, self._cells = self._cells or [], None
            self._put(" | ".join(cells))
        elif token.type == "heading_close":
            self._put(("=" if token.tag == "h2" else "-") * self._width)
        if (
            token.type in _ENDS_A_BLOCK
            and not token.hidden
            and not (token.type.endswith("list_close") and self._numbers)
        ):
            self._gap()

    def _inline(self, token: Token) -> None:
        text = _words(token.children or [], self._picture)
        if self._cells is not None:
            self._cells.append(text.replace("\n", " "))
            return
        self._width = max(map(len, text.split("\n")))
        self._put(text)

    def _put(self, text: str) -> None:
        if self._gap_depth is not None and self._lines:
            self._lines.append("".join(self._margins[: self._gap_depth]).rstrip())
        self._gap_depth = None
        for line in text.split("\n"):
            margins = enumerate(self._margins)
            start = "".join(self._marks.pop(depth, margin) for depth, margin in margins)
            self._lines.append(f"{start}{line}".rstrip())

    def _gap(self) -> None:
        """Leave a line free before whatever comes, within what both have around them."""
        depth = len(self._margins)
        self._gap_depth = depth if self._gap_depth is None else min(depth, self._gap_depth)


def _words(tokens: Iterable[Token], picture: str) -> str:
    """Return the words; a link's target follows in brackets unless it is what one reads anyway."""
    words: list[str] = []
    target, start = "", 0
    for token in tokens:
        if token.type == "link_open":
            target, start = str(token.attrs.get("href", "")).removeprefix("mailto:"), len(words)
        elif token.type == "link_close":
            text = "".join(words[start:]).rstrip("/")
            if target.rstrip("/") not in (text, f"http://{text}", f"https://{text}"):
                words.append(f" ({target})")
        elif token.type == "image":
            words.append(f"[{picture}: {token.content}]")
        else:
            words.append("\n" if token.type in ("softbreak", "hardbreak") else token.content)
    return "".join(words)
