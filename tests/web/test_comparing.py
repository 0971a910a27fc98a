"""Two versions of a text: what differs is marked, for a reader to see at once."""

import pytest

from belong_mail.web.localized_fields import MOST_COMPARED, compare

BEFORE, AFTER, LONG = "one " * 50, "\ntwo" * 50, "a " * MOST_COMPARED


@pytest.mark.parametrize(
    ("mine", "theirs", "marked"),
    [
        ("Tea\r\n\r\ncake ", "Tea\n\ncake", []),
        ("- a\n  - b", "- a\n- b", [("del", "- a\n  - b"), ("ins", "- a\n- b")]),
        ("Tea", "Tea\n\ncake", [("", "Tea"), ("ins", "\n\ncake")]),
        ("Tea\n\ncake", "Tea\ncake", [("", "Tea"), ("del", "\n\n"), ("ins", "\n"), ("", "cake")]),
        (
            f"{BEFORE}tea{AFTER}",
            f"{BEFORE}cake{AFTER}",
            [
                ("", "… "), ("", "one " * 12), ("del", "tea"), ("ins", "cake"),
                ("", "\ntwo" * 6), ("", "…\n"),
            ],
        ),
        (LONG, LONG, []),
        (f"{LONG}tea", LONG, [("del", f"{LONG}tea"), ("ins", LONG.strip())]),
    ],
    ids=["alike", "blanks alone", "added", "breaks", "around", "long, alike", "long"],
)  # fmt: skip
def test_what_only_one_version_has_is_marked_with_some_words_around(mine, theirs, marked):
    assert compare(mine, theirs) == marked
