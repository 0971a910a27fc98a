"""What a newsletter says: both parts whole, sanitised, and nothing fetched from anywhere."""

import re

import pytest

from belong_mail.newsletters import service as newsletters
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import group_named, make_member, queue_issue
from tests.marks import on_sqlite
from tests.people import Visitor, html_of, link_to, links_in, text_of
from tests.raw import Page, check_form
from tests.servers.smtp import Server

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
HOSTILE = """<script>alert(1)</script> <img src="https://spy.example.org/p.gif">

![pixel](https://spy.example.org/pixel.png) [relative](/admin) [bad](javascript:alert(1))
[data](data:text/html;base64,PHNjcmlwdD4=) <b onclick="x()">bold</b> {{ 7*7 }} {% raw %} ${x} %(y)s
<iframe src=//spy.example.org></iframe><style>@import url(//spy.example.org)</style>
"""


def send(worker: Worker, parts: Parts, keyring: Keyring, text: str, language: str = "en") -> None:
    with parts.writing.begin() as session:
        make_member(session, keyring, ADA, language=language)
        queue_issue(session, text=text)
    worker.drain()


def test_both_parts_say_and_link_the_same(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, ISSUE)
    [mail] = relay.to(ADA)
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    text, page = text_of(mail), Page(html_of(mail))
    for words in ("Spring", "Hello, everybody", "A walk", "Tea & cake", "ñandú 🎉 שלום"):
        assert words in text
    for words in ("Spring", "<strong>everybody</strong>", "Tea &amp; cake", "ñandú 🎉 שלום"):
        assert words in html_of(mail)
    web = {link for link in page.links if link.startswith("http")}
    assert web == {link.rstrip(").") for link in links_in(mail)}
    assert {LONG_LINK, "https://tea.example.org/room"} < web
    assert "mailto:dps-belong@example.org" in page.links


def test_a_link_leads_straight_to_its_target(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, ISSUE)
    [mail] = relay.to(ADA)
    hosts = {link.split("/")[2] for link in links_in(mail)}
    assert hosts == {"library.example.org", "tea.example.org", "localhost:5000"}


def test_nothing_in_an_issue_is_fetched_from_anywhere_or_runs(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, HOSTILE)
    [mail] = relay.to(ADA)
    page = Page(html_of(mail))
    assert page.fetched == []
    assert not page.tags.keys() & {"script", "img", "iframe", "link", "b", "form", "base"}
    assert all(re.match(r"https?://|mailto:", link) for link in page.links)
    for words in ("{{ 7*7 }}", "{% raw %}", "${x}", "%(y)s"):
        assert words in text_of(mail)
        assert words in html_of(mail)


@pytest.mark.parametrize(
    "text",
    ["x" * 5000, "From the start\n\n.\n\n..\n\n.x", "soft\u00adhyphen \u202e rtl", "a\rb\r\rc",
     "=" * 999, "tab\tand trailing   \nspace ", "\ufeffbyte order", "a\u2028b\u2029c"],
    ids=range(8),
)  # fmt: skip
def test_odd_texts_arrive_in_good_form(
    text: str, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, text)
    [one] = relay.accepted
    check_form(one.data)
    assert relay.faults == []
    assert re.sub(r"\W", "", text)[:500] in re.sub(r"\W", "", text_of(one.message))


def test_an_issue_is_smaller_than_what_readers_cut_off(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, ISSUE * 8)
    [one] = relay.accepted
    assert len(html_of(one.message).encode()) < 102_000


def test_the_footer_leaves_this_group_at_once(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, visitor: Visitor
) -> None:
    send(worker, parts, keyring, "Hello")
    [mail] = relay.to(ADA)
    link = link_to(mail, "leave")
    assert link in Page(html_of(mail)).links
    assert "The Village" in text_of(mail)
    assert visitor.open(link).status_code == 200
    assert visitor.press(link).status_code == 200
    with parts.writing.begin() as session:
        queue_issue(session)
    worker.drain()
    assert len(relay.accepted) == 1


def test_the_last_lines_of_the_text_are_lines_of_their_own(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, ISSUE)
    [mail] = relay.to(ADA)
    said = "If you reply, the mailbox of the Belong office sees your address."
    lines = text_of(mail).splitlines()
    assert lines[lines.index(said) + 1] == "DPS Belong"


def test_the_footer_speaks_the_members_language(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    send(worker, parts, keyring, "Hola", language="es")
    [mail] = relay.to(ADA)
    assert "You get this because" not in text_of(mail)
    assert 'lang="es"' in html_of(mail)
    assert "lang=es" in link_to(mail, "leave")


@pytest.mark.parametrize(
    "text", ["", "  \n\t ", "x" * 100_001, "\0\x01", "[a]: http://b.example.org"]
)  # fmt: skip
def test_a_text_without_words_or_without_end_is_refused(text: str, parts: Parts) -> None:
    with (
        pytest.raises(newsletters.NewsletterRefused, match="The text has words"),
        parts.writing.begin() as session,
    ):
        newsletters.draft(session, group_named(session, "the-village"), "Subject", text)
