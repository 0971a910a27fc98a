"""The style sheets and the scripts: they fetch nothing, and work in older browsers."""

import re
from pathlib import Path

import pytest

STYLE = Path(__file__).resolve().parents[2] / "belong_mail" / "static" / "belong.css"
# What stops a script or hides a page there; a property that is passed over does no harm.
YOUNG = {
    "js": r"\(\?<[=!]|\bstatic \{|\bwith \{|\b(?:OffscreenCanvas|Object\.groupBy)\b"
    r"|\b(?:Promise\.(?:try|withResolvers)|Array\.fromAsync|URL\.(?:canParse|parse))\("
    r"|\.(?:findLast(?:Index)?|to(?:Sorted|Reversed|Spliced)|requestSubmit|showPopover)\("
    r"|\b(?:AbortSignal\.\w+|checkVisibility|startViewTransition)\(",
    "css": r"@(?:container|property|scope|starting-style)\b|\bsubgrid\b|^\s*&"
    r"|\b(?:color-mix|light-dark|anchor)\(|\((?:width|height)\s*[<>]"
    r"|:(?:popover-open|state|user-(?:in)?valid)\b|\d(?:r?lh|cq[iwb])\b",
}


def test_nothing_is_fetched_by_the_style_sheet():
    assert not re.search(r"url\(|@import", STYLE.read_text())


def test_colors_that_every_page_needs_are_known_to_old_browsers():
    """Chrome before 111 and Firefox before 113 know no `oklch()`: hues alone may use it."""
    css = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL)
    for block in re.findall(r":root \{([^}]*)\}", css):
        assert "oklch(" not in block
    assert "@supports not (color: oklch(0 0 0))" in css


@pytest.mark.parametrize("kind", YOUNG)
def test_no_feature_is_younger_than_safari_15_4_chrome_99_and_firefox_97(kind):
    """A lookbehind alone keeps a whole script from running before Safari 16.4."""
    for file in STYLE.parent.glob(f"*.{kind}"):
        assert re.findall(YOUNG[kind], file.read_text(), re.MULTILINE) == [], file.name
