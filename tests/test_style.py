"""The style sheet: it reads from either side, and asks nothing of anybody else."""

import re
from pathlib import Path

STYLE = Path(__file__).resolve().parent.parent / "belong_mail" / "static" / "belong.css"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CONDITION = re.compile(r"@media[^{]*")
DECLARATION = re.compile(r"(?<![\w-])(--)?([a-z-]+)\s*:\s*([^;{}]+)(?=[;}])")
SIDE = re.compile(r"(^|-)(left|right|top|bottom|width|height)(-|$)")
SIDED = re.compile(r"(?<![\w-])(left|right|top|bottom)(?![\w-])")
OF_FOUR = {"margin", "padding", "inset", "border-width", "border-style", "border-color"}
NOT_A_SIDE = {"border-width", "outline-width", "stroke-width", "line-height"}
LOGICAL = re.compile(r"-(inline|block)(-|$)")


def declarations(css: str) -> list[tuple[str, str]]:
    bare = CONDITION.sub("", COMMENT.sub("", css))
    return [(name, value.strip()) for _custom, name, value in DECLARATION.findall(bare)]


def physical(css: str) -> list[str]:
    """List what names a side of the screen, where writing decides what comes first."""
    found = []
    for name, value in declarations(css):
        sides = re.sub(r"\([^()]*\)", "()", value).replace("!important", "").split()
        is_uneven = name in OF_FOUR and len(sides) == 4 and sides[1] != sides[3]
        is_exempt = name in NOT_A_SIDE or LOGICAL.search(name)
        names_side = (not is_exempt and SIDE.search(name)) or SIDED.search(value)
        if name != "vertical-align" and (names_side or is_uneven):
            found.append(f"{name}: {value}")
    return found


def test_no_rule_names_a_side_of_the_screen() -> None:
    css = STYLE.read_text()
    assert len(declarations(css)) > 300
    assert physical(css) == []


def test_nothing_is_fetched_by_the_style_sheet() -> None:
    assert "url(" not in STYLE.read_text()
    assert "@import" not in STYLE.read_text()


def test_colors_that_every_page_needs_are_known_to_old_browsers() -> None:
    """Chrome before 111 and Firefox before 113 know no `oklch()`: hues alone may use it."""
    css = COMMENT.sub("", STYLE.read_text())
    for block in re.findall(r":root \{([^}]*)\}", css):
        assert "oklch(" not in block
    assert "@supports not (color: oklch(0 0 0))" in css


def test_scripts_load_in_safari_15() -> None:
    """A lookbehind in one expression keeps the whole script from running before Safari 16.4."""
    for script in STYLE.parent.glob("*.js"):
        assert not re.search(r"\(\?<[=!]", script.read_text()), script.name
