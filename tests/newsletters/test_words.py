"""A newsletter's words: both parts whole, sanitised, and nothing fetched from anywhere."""

import re

import pytest

from belong_mail.core.db import now
from belong_mail.mail.message import markdown
from belong_mail.mail.message.linter import Rule
from belong_mail.members.wrapped_fields import wrap_field
from belong_mail.newsletters import checklist
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.release import release
from belong_mail.newsletters.rendering import fill_text
from tests.browser_client import html_of, link_to, links_in, links_of, text_of
from tests.factories import group_named, make_member, queue_issue
from tests.markers import on_sqlite

pytestmark = on_sqlite
ADA = "ada@dpsk12.org"
LONG_LINK = "https://library.example.org/" + "a-path/" * 60 + "?q=1&r=2#there"
ISSUE = f"""# Spring

Hello, **everybody**, come to the [library]({LONG_LINK}) or to https://tea.example.org/room.

- A walk
- Tea & cake

> Quoted ñandú 🎉 שלום

Write to [us](mailto:dps-belong@example.org).
"""
PREHEADER = re.compile(r'<div class="preheader"[^>]*>(.*?)</div>', re.DOTALL)
PLAIN = """Dear {first_name},

{group} meets on Friday. We hope that the {group} sees you there.
Bring a friend.

[[Say that you come]](https://example.org/come)

| When | Where |
|---|---|
| 4:00 PM | the library |

مرحبا
"""


def send(scenario, language="en", **words) -> None:
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, ADA, language=language)
        issue = newsletters.start_draft(session, group_named(session, "the-village"))
        newsletters.update_draft(
            issue, **{"subject": {"en": "Tea"}, "text": {"en": PLAIN}, **words}
        )
        release(session, issue, now())
    scenario.worker.drain()


def test_both_parts_say_and_link_the_same(scenario):
    send(scenario, text={"en": ISSUE})
    [mail] = scenario.relay.to(ADA)
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    text, links = text_of(mail), links_of(html_of(mail))
    for words in ("Spring", "Hello, everybody", "A walk", "Tea & cake", "ñandú 🎉 שלום"):
        assert words in text
    for words in ("Spring", "<strong>everybody</strong>", "Tea &amp; cake", "ñandú 🎉 שלום"):
        assert words in html_of(mail)
    web = {link for link in links if link.startswith("http")}
    assert web == {link.rstrip(").") for link in links_in(mail)}
    assert {LONG_LINK, "https://tea.example.org/room"} < web
    hosts = {link.split("/")[2] for link in web}
    assert hosts == {"library.example.org", "tea.example.org", "localhost:5000"}
    assert "mailto:dps-belong@example.org" in links
    said = "If you reply, the Belong office will see your email address."
    lines = text.splitlines()
    assert lines[lines.index(said) + 1].startswith("DPS Belong"), "a line of its own"


NAMED_LINKS = (
    "https://spy.example.org/?n={first_name}", "https://{first_name}.example.org",
    "[Come](https://spy.example.org/{first_name})", "<https://spy.example.org/{first_name}>",
    "[Come](<https://spy.example.org/ {first_name}>)", "www.example.org/{first_name}",
    "spy.example.org/a?{first_name}", "{first_name}.example.org", "{first_name}@example.org",
    "[Come][x]\n\n[x]: https://spy.example.org/#{first_name}", "mailto:{first_name}",
    "[https://spy.example.org/{first_name}](https://spy.example.org)",
    "https://spy.example.org/" + "x" * 3000 + "{first_name}",
    # Words that only Markdown, or a mail program, makes a link of.
    "spy&#46;example&period;org/{first_name}", "http&colon;//spy/{first_name}",
    r"http:\/\/10.1.2.3/{first_name}", "spy.**example**/{first_name}", "spy.**org**/{first_name}",
    "{first_name}&commat;spy", "spy.рф/{first_name}", "spy。com/{first_name}",
    "[spy&#46;org/{first_name}](https://tea.example.org/)",
    "https://tea.example.org/{first_name} and spy&#46;org/{first_name}",
    "[Come](https&#58;//spy/{first_name})", "[Come](< https://spy/ {first_name}>)",
    "[Come][x]\n\n[x]: https&#58;//spy/{first_name}", "<https&#58;//spy/{first_name}>",
    "[Come](https://{first_name}.example.org)",
)  # fmt: skip
NAMED_WORDS = (
    "Hello {first_name}, come to https://tea.example.org/ with {first_name}.",
    "[Come, {first_name}](https://tea.example.org/)", "**{first_name}**, tea...and cake",
    "{first_name}: at 4 p.m. ({first_name}) 2 < 3",
    "| {first_name} | tea.example.org |\n|---|---|\n| &#46;org | **Hi**, {first_name} &amp; all |",
)  # fmt: skip


def make_named(session, scenario) -> None:
    member = make_member(session, scenario.keyring, ADA)
    member.wrapped_name = wrap_field(scenario.keyring, "Zebulon", "wrapped_name", member.public_id)


@pytest.mark.parametrize("link", NAMED_LINKS, ids=range(len(NAMED_LINKS)))
def test_an_issue_with_the_readers_name_in_a_link_is_not_sent(link, scenario):
    with scenario.services.writing.begin() as session:
        make_named(session, scenario)
        issue = queue_issue(session, text=f"{link}\n\nHello {{first_name}}!")
        found = checklist.checklist(issue, scenario.services.renderer, scenario.services.links)
        told = checklist.GATE[Rule.PERSONAL], "{first_name}"
        assert told in [(each.words, each.named) for each in found]
    assert scenario.mails(ADA) == []


@pytest.mark.parametrize("text", NAMED_WORDS, ids=range(len(NAMED_WORDS)))
def test_words_beside_a_link_hold_the_readers_name(text, scenario):
    scenario.do(make_named, scenario)
    scenario.do(queue_issue, text=text)
    [mail] = scenario.mails(ADA)
    for part in (text_of(mail), html_of(mail)):
        assert part.count("Zebulon") == text.count("{first_name}")


def test_the_footer_speaks_the_members_language(scenario):
    send(scenario, "es")
    [mail] = scenario.relay.to(ADA)
    assert "You’re getting this because" not in text_of(mail)
    assert "Dear colleague," in text_of(mail), "in the language of the words"
    assert 'lang="es"' in html_of(mail)
    assert "lang=es" in link_to(mail, "leave")


@pytest.mark.parametrize(
    ("subject", "text", "said"),
    [
        *(
            ("Subject", text, "The text must have words")
            for text in ("", "  \n\t ", "x" * 100_001, "\0\x01", "[a]: http://b.example.org")
        ),
        *(
            (subject, "Hello", "The subject must")
            for subject in (
                "", "\u2003", "x" * 201, "Hello\r\nBcc: eve@example.org", "a\tb", "a\udcffb",
                "=?utf-8?q?=0ABcc=3A_eve=40example.org?=", "\ue000\ue174\ue16f\ue001",
            )
        ),
    ],
    ids=range(13),
)  # fmt: skip
def test_empty_words_endless_words_and_words_that_could_become_a_header_are_refused(
    subject, text, said, scenario
):
    """F1: what hides a line end is refused where it is typed, not stripped, not sent."""
    with (
        pytest.raises(newsletters.InvalidNewsletter, match=said),
        scenario.services.writing.begin() as session,
    ):
        newsletters.draft(session, group_named(session, "the-village"), subject, text)


# How a newsletter is built: for Outlook too, small, and with a line that an inbox may show.


def test_a_newsletter_is_small_made_of_tables_for_outlook_and_keeps_directions_and_line_breaks(
    scenario,
):
    """Outlook draws with Word, which knows neither a block's padding nor its greatest width."""
    send(scenario)
    [mail] = scenario.relay.to(ADA)
    html = html_of(mail).replace("\r\n", "\n")
    assert len(html.encode()) < 12_000
    assert '<!--[if mso]><table role="presentation" width="600"' in html
    for name in ("band", "words", "foot"):
        [style] = re.findall(rf'<td class="{name}" align="left" style="([^"]*)"', html)
        assert "padding: " in style
        assert "font-family: " in style
    [style] = re.findall(r'<td class="button" bgcolor="#241d19" style="([^"]*)"', html)
    assert "mso-padding-alt: 14px 28px" in style
    assert re.search(r'<a class="button" href="https://example.org/come"[^>]*>Say that you', html)
    for table in re.findall(r"<table[^>]*>", html):
        assert 'role="presentation"' in table or 'dir="auto"' in table
    assert re.search(r'<p dir="auto"[^>]*>مرحبا</p>', html)
    assert re.search(r'<h1 dir="auto"[^>]*>Tea</h1>', html)
    assert re.search(r'<th scope="col"[^>]*>When</th>', html)
    assert "sees you there.<br>\nBring a friend." in html
    text = text_of(mail).replace("\r\n", "\n")
    assert "sees you there.\nBring a friend." in text
    assert "Say that you come:\nhttps://example.org/come" in text


@pytest.mark.parametrize(
    ("language", "words", "expected"),
    [
        ("en", {}, "News from your Belong group."),
        ("es", {}, "Novedades de tu grupo Belong."),
        ("en", {"preheader": {"en": "Cake for {first_name}"}}, "Cake for colleague"),
        ("es", {"preheader": {"en": "Cake"}}, "Cake"),
        ("es", {"preheader": {"en": "Cake"}, "text": {"en": "A", "es": "B"}}, "Novedades de tu gr"),
        ("es", {"preheader": {"es": "Pastel"}, "text": {"en": "A", "es": "B"}}, "Pastel"),
    ],
)
def test_an_inbox_shows_the_preview_line_and_nothing_of_the_text(
    scenario, language, words, expected
):
    send(scenario, language, **words)
    html = html_of(scenario.relay.to(ADA)[0])
    found = PREHEADER.search(html)
    assert found is not None
    assert found[1].startswith(expected)
    seen = re.sub(r"<style.*?</style>|<title.*?</title>|<[^>]+>|\s+", "", html, flags=re.DOTALL)
    after = seen.partition(re.sub(r"\s", "", found[1]))[2]
    assert set(after.partition("DPSBelong")[0].replace("&nbsp;", "\u200c")) == {"\u200c"}
    assert after.count("&nbsp;") >= 100


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("{group} meets.", "en", "The Asian Belong Group meets."),
        ("Come to {group}.", "en", "Come to the Asian Belong Group."),
        ("The {group} meets", "en", "The Asian Belong Group meets"),
        ("Tea. {group} meets!", "en", "Tea. The Asian Belong Group meets!"),
        ("# {group}\n\n- {group}", "en", "The Asian Belong Group\n===\n\n- The Asian Belong Group"),
        ("Reunión del {group}", "es", "Reunión del grupo Asian"),
        ("El grupo {group} se reúne", "es", "El grupo Asian se reúne"),
    ],
)
def test_a_group_in_a_text_is_called_as_in_a_sentence(scenario, text, language, expected):
    with scenario.services.reading.begin() as session:
        filled = fill_text(text, group_named(session, "asian"), language)
    assert re.sub("=+", "===", markdown.to_text(filled)).strip() == expected
