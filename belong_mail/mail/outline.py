"""What a Markdown source links to and shows, as it was written."""

from collections.abc import Iterator

from belong_mail.mail.markdown import parse, words_of


def links(source: str) -> Iterator[tuple[str, str]]:
    """Yield each link's target and words."""
    for token in parse(source):
        target, words = "", ""
        for child in token.children or []:
            if child.type == "link_open":
                target, words = str(child.attrs.get("href", "")), ""
            elif child.type == "link_close":
                yield target, words
            else:
                words += words_of(child) if child.type == "image" else child.content


def images(source: str) -> Iterator[tuple[str, str]]:
    """Yield each image's target and description."""
    for token in parse(source):
        for child in token.children or []:
            if child.type == "image":
                yield str(child.attrs.get("src", "")), words_of(child)
