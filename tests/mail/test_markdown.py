"""Markdown: readable as text, harmless as HTML, quick whatever is typed."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belong_mail.mail.markdown import to_html, to_text
from belong_mail.mail.message import slot

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
    "a",
    "blockquote",
    "br",
    "code",
    "em",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
} | {"pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"}
ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java&#x73;cript:alert(1))",
    "[a](vbscript:x)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](//evil.example.org)",
    "[a](/relative)",
    "[a](file:///etc/passwd)",
    "<javascript:alert(1)>",
    '<https://example.org/" onclick="alert(1)>',
    '[a](https://example.org "t\\" onclick=\\"x")',
    "![a](https://example.org/pixel.gif)",
    "![a](javascript:alert(1))",
    "[![a](https://example.org/p.gif)](javascript:alert(1))",
    '```<b>" onclick=x\ncode\n```',
    "[a]: javascript:alert(1)\n\n[a]",
    "<a href='javascript:x'>a</a>",
    "<svg/onload=alert(1)>",
    "<style>*{background:url(https://example.org)}</style>",
    "<!-- <img src=x> -->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ config }} {% x %}",
]
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
    "rows": "|a|b|\n|-|-|\n" + "a|\n" * 30_000,
    "references": "[a]: x\n" * 7_000 + "[a]" * 16_000,
    "ticks": " ".join("`" * length for length in range(440)),
    "entities": "&" * 100_000,
    "controls": "\0\r\x0b" * 33_333,
}


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
        assert (tag, name) in {("a", "href"), ("a", "title"), ("ol", "start")}
        assert name != "href" or re.match(r"(?i)https?://|mailto:", value)


def test_a_newsletter_is_readable_as_text() -> None:
    assert to_text(NEWSLETTER) == AS_TEXT


def test_a_newsletter_has_its_shape_in_html() -> None:
    html = to_html(NEWSLETTER)
    assert_harmless(html)
    for piece in (
        "<h2>Spring</h2>",
        f"Hello {slot('first_name')}, we <em>meet</em> in the <strong>library</strong>.",
        '<a href="https://example.org/map?a=1&amp;b=2">map</a>',
        '<a href="http://www.example.org">www.example.org</a>',
        '<a href="mailto:eva@example.org">eva@example.org</a>',
        '<ol start="9">',
        "a picture here</p>",
    ):
        assert piece in html


@pytest.mark.parametrize(
    ("marks", "tags"),
    [
        ("1", "2"), ("2", "2"), ("6", "2"), ("223", "223"), ("13", "23"), ("212", "223"),
        ("1363", "2343"), ("123456", "234566"),
    ],
)  # fmt: skip
def test_headings_go_down_from_the_subject_without_a_gap(marks: str, tags: str) -> None:
    html = to_html("\n\n".join(f"{'#' * int(mark)} Words" for mark in marks))
    assert "".join(re.findall(r"<h(\d)>", html)) == tags


def test_both_parts_have_the_same_links() -> None:
    linked = {value for _, name, value in Reader(to_html(NEWSLETTER)).attributes if name == "href"}
    text = to_text(NEWSLETTER)
    assert linked
    assert all(re.sub(r"^(mailto:|http://)", "", link) in text for link in linked)


def test_a_link_shows_where_it_leads() -> None:
    assert to_text("[org](https://example.org)") == "org (https://example.org)\n"
    assert to_text("[example.org](https://example.org/)") == "example.org\n"
    assert to_text("[](https://example.org/x)") == " (https://example.org/x)\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_survives(attack: str) -> None:
    html = to_html(attack)
    assert_harmless(html)
    assert to_text(attack)


def test_a_slot_is_never_a_links_target() -> None:
    html = to_html(f"[leave]({slot('leave')}) <https://example.org/{slot('leave')}>")
    assert all(slot("leave") not in value for _, _, value in Reader(html).attributes)
    assert "leave" in html


def test_half_a_character_is_replaced() -> None:
    assert to_html("a \ud800") == "<p>a \ufffd</p>\n"
    assert to_text("a \ud800") == "a \ufffd\n"


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=300) | st.text("[]()<>!*_`#-+|>\\& \n\t:/.@aw1", max_size=300))
def test_nothing_that_is_typed_breaks_it(source: str) -> None:
    assert_harmless(to_html(source))
    assert to_text(source) == "" or to_text(source).endswith("\n")


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_of_100_kb_takes_seconds_at_most(kind: str) -> None:
    began = time.process_time()
    to_html(HOSTILE[kind])
    to_text(HOSTILE[kind])
    assert time.process_time() - began < 12
