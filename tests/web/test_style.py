"""The style sheet and the scripts: they fetch nothing, and work in older browsers."""

import re
from pathlib import Path

STYLE = Path(__file__).resolve().parents[2] / "belong_mail" / "static" / "belong.css"


def test_nothing_is_fetched_by_the_style_sheet():
    assert not re.search(r"url\(|@import", STYLE.read_text())


def test_colors_that_every_page_needs_are_known_to_old_browsers():
    """Chrome before 111 and Firefox before 113 know no `oklch()`: hues alone may use it."""
    css = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL)
    for block in re.findall(r":root \{([^}]*)\}", css):
        assert "oklch(" not in block
    assert "@supports not (color: oklch(0 0 0))" in css


def test_scripts_load_in_safari_15():
    """A lookbehind in one expression keeps the whole script from running before Safari 16.4."""
    for script in STYLE.parent.glob("*.js"):
        assert not re.search(r"\(\?<[=!]", script.read_text()), script.name
