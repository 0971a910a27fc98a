"""A district's logo: a small SVG or PNG, read once at the start and checked before it is served."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

MAX_OCTETS: Final = 100_000
PNG: Final = b"\x89PNG\r\n\x1a\n"
SVG: Final = "http://www.w3.org/2000/svg"
# What draws; whatever else an SVG may hold (scripts, other documents, animations) is refused.
ELEMENTS: Final = frozenset((
    "svg", "g", "defs", "title", "desc", "path", "rect", "circle", "ellipse", "line", "polyline",
    "polygon", "text", "tspan", "use", "symbol", "clipPath", "mask", "linearGradient",
    "radialGradient", "stop", "style",
))  # fmt: skip
# What fetches or runs something, in a style or an attribute; a place in the file itself does not.
REACHING: Final = re.compile(
    r"url\((?!\s*['\"]?#)|image-set|src\(|@import|javascript:|data:|expression\(|\\", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture that is safe to serve."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def version(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:10]


def read_logo(content: bytes) -> Logo:
    """Check a logo, or raise ValueError with what it must be."""
    if len(content) > MAX_OCTETS:
        raise ValueError(f"must name a file of at most {MAX_OCTETS // 1000} kB")
    if content.startswith(PNG):
        return Logo(content, "image/png")
    try:
        _check_svg(content)
    except expat.ExpatError:
        raise ValueError("must name an SVG or PNG file") from None
    return Logo(content, "image/svg+xml")


def _check_svg(content: bytes) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    names: list[str] = []

    def refuse(*_: object) -> None:
        raise ValueError("must be an SVG without a DOCTYPE, entities or processing instructions")

    def start(name: str, attributes: dict[str, str]) -> None:
        names.append(name)
        space, _, element = name.rpartition(" ")
        if space != SVG or element not in ELEMENTS:
            raise ValueError("must be an SVG that only draws: no scripts, pictures or other parts")
        for attribute, value in attributes.items():
            _check_attribute(attribute.rpartition(" ")[2].lower(), value)

    texts: list[str] = []
    parser.StartElementHandler, parser.CharacterDataHandler = start, texts.append
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = refuse
    parser.Parse(content, True)  # noqa: FBT003 - expat's
    if names[0] != f"{SVG} svg" or REACHING.search("".join(texts)):
        raise ValueError("must be an SVG that fetches nothing")


def _check_attribute(name: str, value: str) -> None:
    if name.startswith("on") or (name == "href" and not value.startswith("#")):
        raise ValueError("must be an SVG that runs nothing and links to nothing")
    if REACHING.search(value):
        raise ValueError("must be an SVG that fetches nothing")
