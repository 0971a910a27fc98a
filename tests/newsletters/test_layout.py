"""How a newsletter is built: for Outlook too, small, and with a line that an inbox may show."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.mail.message import markdown
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.rendering import fill_text
from belong_mail.worker.loop import Worker
from tests.browser_client import html_of, text_of
from tests.clients import sign_in
from tests.factories import group_named, make_member
from tests.newsletters.writing import act, begin
from tests.markers import on_sqlite

pytestmark = on_sqlite
ADA = "ada@dpsk12.org"
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


def send(
    worker: Worker, services: Services, keyring: Keyring, language: str = "en", **words: Any
) -> None:
    with services.writing.begin() as session:
        make_member(session, keyring, ADA, language=language)
        issue = newsletters.start_draft(session, group_named(session, "the-village"))
        newsletters.update_draft(
            issue, **{"subject": {"en": "Tea"}, "text": {"en": PLAIN}, **words}
        )
        newsletters.queue(session, issue)
    worker.drain()


def test_outlook_finds_a_width_and_a_padding_in_tables(worker, relay, services, keyring):
    """It draws with Word, which knows neither the padding of a block nor its greatest width."""
    send(worker, services, keyring)
    html = html_of(relay.to(ADA)[0])
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


def test_what_people_wrote_runs_its_own_way_and_keeps_its_lines(worker, relay, services, keyring):
    send(worker, services, keyring)
    [mail] = relay.to(ADA)
    html = html_of(mail).replace("\r\n", "\n")
    assert re.search(r'<p dir="auto"[^>]*>مرحبا</p>', html)
    assert re.search(r'<h1 dir="auto"[^>]*>Tea</h1>', html)
    assert re.search(r'<th scope="col"[^>]*>When</th>', html)
    assert "sees you there.<br>\nBring a friend." in html
    text = text_of(mail).replace("\r\n", "\n")
    assert "sees you there.\nBring a friend." in text
    assert "Say that you come:\nhttps://example.org/come" in text


def test_a_plain_newsletter_is_small(worker, relay, services, keyring):
    send(worker, services, keyring)
    assert len(html_of(relay.to(ADA)[0]).encode()) < 12_000


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
    worker, relay, services, keyring, language, words, expected
):
    send(worker, services, keyring, language, **words)
    html = html_of(relay.to(ADA)[0])
    found = PREHEADER.search(html)
    assert found is not None
    assert found[1].startswith(expected)
    seen = re.sub(r"<style.*?</style>|<title.*?</title>|<[^>]+>|\s+", "", html, flags=re.DOTALL)
    after = seen.partition(re.sub(r"\s", "", found[1]))[2]
    assert set(after.partition("DPSBelong")[0].replace("&nbsp;", "\u200c")) == {"\u200c"}
    assert after.count("&nbsp;") >= 100


def test_who_gave_no_name_is_called_a_colleague_in_the_language_of_the_words(
    worker, relay, services, keyring
):
    send(worker, services, keyring, "es")
    assert "Dear colleague," in text_of(relay.to(ADA)[0])


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
def test_a_group_in_a_text_is_called_as_in_a_sentence(services, text, language, expected):
    with services.reading.begin() as session:
        filled = fill_text(text, group_named(session, "asian"), language)
    assert re.sub("=+", "===", markdown.to_text(filled)).strip() == expected


@pytest.mark.parametrize("settings", [{"BELONG_COPY_TO_OFFICE": "yes"}])
def test_copies_for_a_leader_and_the_office_say_so_and_leave_no_group(app, keyring, worker, relay):
    lead = sign_in(app, keyring, "the-village")
    page = begin(lead)
    assert lead.send(page, subject="Tea", text="Come.").status_code == 303
    act(lead, page, "test")
    worker.drain()
    test = relay.to("lead-of-the-village@dpsk12.org")[-1]
    assert lead.send(f"{page}/release", when="now", minutes="1").status_code == 303
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        worker.drain()
    office = relay.to("dps-belong@example.org")[-1]
    for mail, said in (
        (test, "This copy is for you as a group leader."),
        (office, "This copy is for the Belong office."),
    ):
        assert mail["List-Unsubscribe"] is None
        assert mail["List-Unsubscribe-Post"] is None
        for part in (text_of(mail), html_of(mail)):
            assert said in part
            assert "/leave/" not in part
