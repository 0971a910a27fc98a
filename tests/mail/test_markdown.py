"""Markdown: readable as text, harmless as HTML, quick whatever is typed."""

import re
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belong_mail.mail.message.markdown import to_html, to_html_and_text, to_text
from belong_mail.mail.message.template import slot
from tests.markers import night

NEWSLETTER = f"""\
# Spring

Hello {slot("first_name")}, we *meet* in the **library**.
Bring `tea`.

- one
  - two

    more of two
- three

9. nine
10. ten
    - inside

> quoted
> > deeper
> - listed

| When | Where |
|------|-------|
| Mon  | [map](https://example.org/map?a=1&b=2) |

    code
      is kept

---

https://example.org/plain www.example.org eva@example.org [write](mailto:eva@example.org)\\
![a picture](https://example.org/pixel.gif) [here](/relative)
"""
AS_TEXT = f"""\
Spring
======

Hello {slot("first_name")}, we meet in the library.
Bring tea.

- one
  - two

    more of two

- three

9. nine
10. ten
    - inside

> quoted
>
> > deeper
>
> - listed

When | Where
Mon | map (https://example.org/map?a=1&b=2)

code
  is kept

* * *

https://example.org/plain www.example.org eva@example.org write (eva@example.org)
a picture here
"""
TAGS = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTACKS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))", "[a](java&#x73;cript:alert(1))", "[a](vbscript:x)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)", "[a](//evil.example.org)", "[a](/relative)",
    "[a](file:///etc/passwd)", "<javascript:alert(1)>",
    '<https://example.org/" onclick="alert(1)>', '[a](https://example.org "t\\" onclick=\\"x")',
    "![a](https://example.org/pixel.gif)", "![a](javascript:alert(1))",
    "[![a](https://example.org/p.gif)](javascript:alert(1))", '```<b>" onclick=x\ncode\n```',
    "[a]: javascript:alert(1)\n\n[a]", "<a href='javascript:x'>a</a>", "<svg/onload=alert(1)>",
    "<style>*{background:url(https://example.org)}</style>", "<!-- <img src=x> -->",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "{{ config }} {% x %}", "[[a]](javascript:alert(1))",
    '[[a]](https://example.org "t\\" onclick=\\"x")',
    "[[<img src=x onerror=alert(1)>]](https://example.org)",
]  # fmt: skip
# Functions called; 90 KB of a newsletter full of links take half of it.
MOST_WORK = 4_000_000
HOSTILE = {
    "brackets": "[" * 100_000,
    "images": "![" * 50_000,
    "stars": "*a " * 33_333,
    "links": "http://a." * 11_111,
    "fuzzy links": "x.com/(" * 14_285,
    "addresses": "a@b.co " * 14_285,
    "quotes": ">" * 100_000,
    "lists": "- " * 50_000,
    "stairs": "".join(" " * depth + "- a\n" for depth in range(440)),
    "table": "|a" * 25_000 + "\n" + "|-" * 25_000,
    "cells": "|a" * 3_000 + "\n" + "|-" * 3_000 + "\n" + "b\n" * 4_000,
    "rows": "|a|b|\n|-|-|\n" + "a|\n" * 30_000,
    "references": "[a]: x\n" * 7_000 + "[a]" * 16_000,
    "ticks": " ".join("`" * length for length in range(440)),
    "entities": "&" * 100_000,
    "controls": "\0\r\x0b" * 33_333,
}
# Longer texts of these have too many marks, and stay as they are typed.
DEAREST_PART = {"brackets": 16, "images": 16, "stars": 2, "rows": 8, "controls": 2}


class Reader(HTMLParser):
    """Collects what a mail program would act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def assert_harmless(html: str) -> None:
    reader = Reader(html)
    assert reader.tags <= TAGS
    for tag, name, value in reader.attributes:
        known = {("a", "href"), ("a", "title"), ("ol", "start")}
        ours = {"dir": "auto", "class": "button", "scope": "col"}
        assert (tag, name) in known or ours.get(name) == value
        assert name != "href" or re.match(r"(?i)https?://|mailto:", value)


def test_a_newsletter_is_readable_as_text():
    assert to_text(NEWSLETTER) == AS_TEXT


def test_a_newsletter_has_its_shape_in_html():
    html = to_html(NEWSLETTER)
    assert_harmless(html)
    for piece in (
        '<h2 dir="auto">Spring</h2>',
        f"Hello {slot('first_name')}, we <em>meet</em> in the <strong>library</strong>.",
        '<a href="https://example.org/map?a=1&amp;b=2">map</a>',
        '<a href="http://www.example.org">www.example.org</a>',
        '<a href="mailto:eva@example.org">eva@example.org</a>',
        '<ol start="9">',
        "a picture here</p>",
        '<th scope="col">When</th>',
    ):
        assert piece in html


@pytest.mark.parametrize(
    ("marks", "tags"),
    [("6", "2"), ("13", "23"), ("212", "223"), ("1363", "2343"), ("123456", "234566")],
)
def test_headings_go_down_from_the_subject_without_a_gap(marks, tags):
    html = to_html("\n\n".join(f"{'#' * int(mark)} Words" for mark in marks))
    assert "".join(re.findall(r"<h(\d) ", html)) == tags


def test_a_link_shows_where_it_leads():
    assert to_text("[org](https://example.org)") == "org (https://example.org)\n"
    assert to_text("[example.org](https://example.org/)") == "example.org\n"
    assert to_text("[](HTTPS://example.org/x)") == " (HTTPS://example.org/x)\n"


BUTTONS = """\
Bring a friend.
[[Come to *tea*]](https://example.org/a?b=1&c=2)
See you there.

[[Write]](mailto:eva@example.org)
"""


def test_a_link_in_two_brackets_on_its_line_is_a_button():
    html = to_html(BUTTONS)
    assert_harmless(html)
    paragraphs = re.findall(r'<p dir="auto">(.*)</p>', html)
    assert paragraphs == [
        "Bring a friend.",
        '<a class="button" href="https://example.org/a?b=1&amp;c=2">Come to <em>tea</em></a>',
        "See you there.",
        '<a class="button" href="mailto:eva@example.org">Write</a>',
    ]
    assert to_text(BUTTONS) == (
        "Bring a friend.\n\nCome to tea:\nhttps://example.org/a?b=1&c=2\n\nSee you there.\n\n"
        "Write:\neva@example.org\n"
    )
    below_a_quote = to_html("> We meet.\n[[tea]](https://example.org)")
    assert '</blockquote>\n<p dir="auto"><a class="button"' in below_a_quote


@pytest.mark.parametrize(
    "source",
    [
        "Come to [[tea]](https://example.org) with us", "- [[tea]](https://example.org)",
        "[[tea]](javascript:alert(1))", "[[]](https://example.org)", "[tea](https://example.org)",
        "[[tea]](/relative)", "[tea] (https://example.org)",
        "[[tea]](ftp://example.org)",
        "[[a]](https://example.org) [[b]](https://example.org)",
    ],
)  # fmt: skip
def test_no_other_link_is_a_button(source):
    html = to_html(source)
    assert_harmless(html)
    assert "button" not in html


def test_line_breaks_that_people_type_are_kept():
    assert to_html("Ada\nBen\n") == '<p dir="auto">Ada<br>\nBen</p>\n'
    assert to_text("Ada\nBen\n") == "Ada\nBen\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_survives(attack):
    html = to_html(attack)
    assert_harmless(html)
    assert to_text(attack)


def test_a_slot_is_never_a_links_target():
    html = to_html(f"[leave]({slot('leave')}) <https://example.org/{slot('leave')}>")
    assert all(slot("leave") not in value for _, _, value in Reader(html).attributes)
    assert "leave" in html


def test_half_a_character_is_replaced():
    assert to_html("a \ud800") == '<p dir="auto">a \ufffd</p>\n'
    assert to_text("a \ud800") == "a \ufffd\n"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300) | st.text("[]()<>!*_`#-+|>\\& \n\t:/.@aw1", max_size=300))
def test_nothing_that_is_typed_breaks_it(source):
    assert_harmless(to_html(source))
    assert to_text(source) == "" or to_text(source).endswith("\n")


def work(source: str) -> int:
    """Count the functions that are called to write a source in both forms."""
    calls = 0

    def count(_frame: object, event: str, _given: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        to_html(source)
        to_text(source)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_takes_no_more_work_than_a_long_newsletter(kind):
    text = HOSTILE[kind]
    assert work(text[: len(text) // DEAREST_PART.get(kind, 1)]) <= MOST_WORK


@night("each length of hostile Markdown")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_of_no_length_takes_more_work(kind):
    text = HOSTILE[kind]
    assert max(work(text[: len(text) // part]) for part in (1, 2, 4, 8, 16)) <= MOST_WORK


def test_a_long_newsletter_keeps_its_marks():
    source = "Come to **tea** with [us](https://example.org/), _all_ of you!\n\n" * 1400
    assert len(source) > 80_000
    assert to_html(source).count("<strong>") == to_html(source).count("<em>") == 1400
    table = "| when | where |\n| --- | --- |\n" + "| Friday | library |\n" * 2000
    assert to_html(table).count("<td>") == 4000


def test_a_long_word_may_break_in_a_cell_alone():
    """A cell is as wide as its longest word, and the email as its tables."""
    word, link = "x" * 25, "https://example.org/tea"
    source = f"{word}\n\n| {word} | communication |\n|---|---|\n| {link} | tea |"
    html, text = to_html_and_text(source, {}, "Picture")
    assert html.count("<wbr>") == 2
    assert f">{word}</p>" in html
    assert f">{'x' * 10}<wbr>{'x' * 15}</th>" in html
    assert f'<a href="{link}">https://ex<wbr>ample.org/tea</a>' in html
    assert text == f"{word}\n\n{word} | communication\n{link} | tea\n"


def test_a_text_of_nothing_but_marks_stays_as_it_is_typed():
    source = "*a* " * 20_000
    assert "<em>" not in to_html(source)
    assert to_text(source) == source.rstrip() + "\n"
    assert_harmless(to_html("<script>" + source))
