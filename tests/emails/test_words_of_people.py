"""What people have written stays what it is in every email: no markup, no template, no link."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2.ext import babel_extract

from belong_mail.core import i18n
from belong_mail.core.email_templates import EMAILS, in_plain_text
from belong_mail.mail.message.mime import compose, date_header
from tests.emails.given import contexts, renderer

KINDS = sorted(contexts())
EVIL = "https://evil.example"
# What a renderer, a mail program or a protocol might take for more than words.
HOSTILE = [
    # Markdown
    f"[your payslip]({EVIL})", f"[[Sign in]]({EVIL})", f"<{EVIL}>", EVIL, f"![x]({EVIL}/p.gif)",
    f"[x]: {EVIL}\n\n[x]", "**bold**", "__bold__", "*it*", "~~gone~~", "`code`", "```\ncode\n```",
    "# Title", "Title\n=====", "- item", "1. item", "> quoted", "    indented", "---", "* * *",
    "| a | b |\n|---|---|\n| c | d |", "two  \nlines", "back\\slash \\* \\[", "[^1]", "a\tb",
    # HTML
    f'<a href="{EVIL}">x</a>', "<script>alert(1)</script>", "</title><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "<b>", "</p></td></tr></table>", "</blockquote><h1>Hi</h1>",
    f'<p><a class="button" href="{EVIL}">Yes</a></p>', "<!-- -->", "<!--[if mso]>x<![endif]-->",
    "<![CDATA[x]]>", "<svg/onload=alert(1)>", "<style>*{display:none}</style>", "<br>", "<p", "<",
    "\" onmouseover='alert(1)'", "'\"><i>", "&amp;", "&lt;b&gt;", "&#60;b&#62;", "&", "&nbsp;",
    '<div class="preheader">x</div>', "javascript:alert(1)", "data:text/html,x", "</strong>",
    # Templates, catalogs and formats
    "{{ 7*7 }}", "{% include 'parts/layout.html' %}", "{# x #}", "{{ config }}", "{0}", "{name}",
    "%(site_name)s", "%(group)s", "%s %d %", "100%", "%%", "${7*7}", "$name", "#{7*7}", "<%= 1 %>",
    "{{ strong('x') }}", "{group}", "{first_name}", "\\u0041", "\\1 \\g<0>", "__class__",
    # Headers and protocols
    "Hi\r\nBcc: eve@example.org", "=?utf-8?q?=0D=0ABcc:_eve?=", ".", ".\n.", "From me",
    "--=_belong", "=3D=0A", "QUIT", "a" * 1200, "a " * 600, "----------",
    "Content-Type: text/html\n\n<b>",
    # Letters
    "Zoë Ñandú", "李 小龍", "مرحبا", "שלום abc", "👩\u200d👩\u200d👧 🏳", "Z\u0337\u0322a\u0335l",
    "ﷺ", "ẞß", "İıI", "\u00a0x\u00a0", "\u200bx\u200b", "\ufeffx", "a\u2028b", "a\u2029b", "\ufffe",
    "𝓗𝓲", "\u3000", "½", "ＦＵＬＬ", "' OR 1=1 --", "=1+1", "+1", "@SUM(1)", "../../etc/passwd",
    "\\\\host\\share", "::1", "-", "0", "null",
]  # fmt: skip
WRAPS = ("{}", "a{}b", "x {} y", "{}\n{}", "<{}>", '"{}"')
STRINGS = [wrap.replace("{}", each) for each in HOSTILE for wrap in WRAPS]
TOGETHER = 300


class Page(HTMLParser):
    """The tags of a page with their attributes, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[object] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.words += data


def parts_of(email) -> list[str]:
    """Return text and HTML as a mail program reads them from the finished bytes."""
    headers = [("From", "a@example.org"), ("Date", date_header(datetime(2026, 3, 3, tzinfo=UTC)))]
    wire = compose(headers, email.text, email.html, boundary="belong-1").fill({})
    found = [part for part in message_from_bytes(wire).walk() if not part.is_multipart()]
    return [decoded(part) for part in found]


def decoded(part) -> str:
    return part.get_payload(decode=True).decode().replace("\r\n", "\n")


def test_the_table_has_every_email_and_enough_strings():
    assert set(KINDS) == {file.stem for file in EMAILS.glob("*.jinja")}
    assert len(set(STRINGS)) >= 515


@pytest.mark.parametrize("language", i18n.NAMES)
def test_words_of_a_person_are_those_words_in_every_email(language):
    """Many of them together: one that ended what it stands in would show in the tags around it."""
    for kind in KINDS:
        harmless = contexts(lambda _: "Ada")[kind]
        made = [renderer().render(kind, language, **case) for case in harmless]
        for start in range(0, len(STRINGS), TOGETHER):
            check(kind, language, "\n".join(STRINGS[start : start + TOGETHER]), made)


def check(kind: str, language, written: str, harmless) -> None:
    """Try that an email with these words differs from a harmless one in these words alone."""
    as_it_is = written.replace("\r\n", "\n")
    for case, before in zip(contexts(lambda _: written)[kind], harmless, strict=True):
        text, html = parts_of(renderer().render(kind, language, **case))
        page, expected = Page(html), Page(before.html)
        assert page.tags == expected.tags, kind
        assert page.words == expected.words.replace("Ada", as_it_is), kind
        assert text == before.text.replace("Ada", as_it_is), kind


def test_each_sentence_of_an_email_is_in_some_case_of_it():
    """What other tests give an email leaves nothing out that it may say."""
    for kind, cases in contexts().items():
        made = [renderer().render(kind, "en", **case) for case in cases]
        said = " ".join(f"{each.subject} {each.preheader} {Page(each.html).words}" for each in made)
        with (EMAILS / f"{kind}.jinja").open("rb") as source:
            calls = [each[2] for each in babel_extract(source, ("_", "ngettext"), [], {})]
        for message in calls:
            for sentence in (message,) if isinstance(message, str) else message or ():
                assert sentence is None or longest_piece(sentence) in said, (kind, sentence)


def others(given: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is given with one value in it changed, and where that stands."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield from ((f"{key}.{at}", {**given, key: other}) for at, other in others(value))
    elif isinstance(given, list | tuple):
        for place, value in enumerate(given):
            rest = given[:place], given[place + 1 :]
            for at, other in others(value):
                yield at, type(given)([*rest[0], other, *rest[1]])
    elif isinstance(given, datetime):
        yield "", given + timedelta(days=40)
    elif isinstance(given, bool):
        yield "", not given
    elif isinstance(given, str):
        yield "", f"{given}x"
    elif isinstance(given, int):
        yield "", given + 1


# What the text of an email depends on in some of its cases alone, or not at all.
NOT_ALWAYS = {
    "contact-message": "is_thread is_with_leads", "group-ends": "has_ended", "issue-held": "why",
    "let-in": "name", "newsletter": "copy_for html leave_url preview words_language",
    "office-acted": "done", "passkey-changed": "what", "rights-changed": "is_you name what",
    "sign-in": "is_proof", "welcome-member": "calendar_url",
}  # fmt: skip


def test_each_value_that_an_email_is_given_shows_in_its_text():
    for kind, cases in contexts().items():
        shows = {"is_proof.": True}  # it is given or not, and never false
        for case in cases:
            before = renderer().render(kind, "en", **case)
            for at, other in others(case):
                after = renderer().render(kind, "en", **other)
                shows[at] = shows.get(at, False) or after != before
                is_always = at.rstrip(".") not in NOT_ALWAYS.get(kind, "").split()
                assert after.text != before.text or not is_always, (kind, at)
        assert [at for at, is_shown in shows.items() if not is_shown] == [], kind


def test_lines_that_people_wrote_stay_lines():
    for kind in ("introduce-member", "contact-message"):
        html = renderer().render(kind, "en", **contexts(lambda _: "one\n  two")[kind][0]).html
        assert re.search(r"white-space: pre-wrap;[^>]*>one\n  two<", html)


def longest_piece(sentence: str) -> str:
    """Return of a sentence as the sources have it what no value stands in."""
    filled = i18n.catalog("en").gettext(sentence)
    return max(re.split(r"%\(\w+\)s|<[^>]+>", filled), key=len).strip()


def test_marks_of_our_own_sentences_are_read_for_plain_text():
    for sentence, expected in (
        ("Join <strong>%(group)s</strong>.", "Join %(group)s."),
        ('Or <a href="%(url)s">tell us here</a>.', "Or tell us here:\n%(url)s"),
        ('Go to <a href="%(url)s">our page</a> or wait.', "Go to our page (%(url)s) or wait."),
        ('Go to <a href="%(url)s">%(site)s</a>.', "Go to %(url)s"),
        ('Call <a href="tel:911">911</a>.', "Call 911."),
        ('At <a href="tel:%(phone)s">%(phone)s</a> or here', "At %(phone)s or here"),
    ):
        assert in_plain_text(sentence) == expected
