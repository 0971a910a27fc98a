"""A district's own color: checked for contrast, and made into what pages and emails need of it."""

import re
from dataclasses import dataclass

HEX = re.compile("#[0-9a-f]{6}")
# What colored words stand on in the light, the darkest of it (`--sunk` of belong.css), and in the
# dark, the lightest.
LIGHT_GROUND = "#f4ede1"
DARK_GROUND = "#2b241f"
# WCAG 2.2, 1.4.3, for text.
MIN_CONTRAST = 4.5
# How light and how strong links are in the dark (`--link` of belong.css); the hue is the color's.
DARK_LIGHTNESS, DARK_CHROMA = 0.85, 0.085

_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FROM_LAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_FROM_LMS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
_Matrix = tuple[tuple[float, float, float], ...]
# Of sRGB: near black it is a line, then a curve.
KNEE, SLOPE, OFFSET, GAMMA = 0.0031308, 12.92, 0.055, 2.4


@dataclass(frozen=True, slots=True)
class Palette:
    """The colors of links, buttons and the mark's second circle, as emails have them."""

    link: str = "#5b2f6e"
    dark_link: str = "#d9b8ea"
    button: str = "#241d19"
    mark: str = "#7c5a8c"


OURS = Palette()


def palette(accent: str) -> Palette:
    """Return the colors that follow from a district's; empty: ours."""
    if not accent:
        return OURS
    return Palette(link=accent, dark_link=in_the_dark(accent), button=accent, mark=accent)


def style_sheet(accent: str) -> str:
    """Return the style that pages take besides belong.css. Groups keep their own hues."""
    dark = in_the_dark(accent)
    return (
        f"@layer tokens{{:root{{--accent:{accent};--on-accent:#fff;--link:{accent};"
        f"--mark-2:{accent}}}@media (prefers-color-scheme:dark){{:root{{--accent:{dark};"
        f"--on-accent:var(--paper);--link:{dark};--mark-2:{dark}}}}}}}\n"
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colors as WCAG counts it, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def in_the_dark(color: str) -> str:
    """Return a color of the same hue that is read on a dark ground; gray stays gray."""
    lms = _times(_TO_LMS, _linear(color))
    _light, a, b = _times(_TO_LAB, [max(each, 0.0) ** (1 / 3) for each in lms])
    chroma = (a * a + b * b) ** 0.5
    scale = min(1.0, DARK_CHROMA / chroma) if chroma else 0.0
    lms = _times(_FROM_LAB, [DARK_LIGHTNESS, a * scale, b * scale])
    light = _times(_FROM_LMS, [each**3 for each in lms])
    return "#" + "".join(f"{round(255 * _encoded(each)):02x}" for each in light)


def _luminance(color: str) -> float:
    red, green, blue = _linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(color: str) -> list[float]:
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [
        part / SLOPE if part <= KNEE * SLOPE else ((part + OFFSET) / (1 + OFFSET)) ** GAMMA
        for part in parts
    ]


def _encoded(part: float) -> float:
    part = min(1.0, max(0.0, part))
    return SLOPE * part if part <= KNEE else (1 + OFFSET) * part ** (1 / GAMMA) - OFFSET


def _times(matrix: _Matrix, vector: list[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]
