"""The result of a press has a page of its own: reading it again presses nothing again."""

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine

from belong_mail.core.db import now
from tests.clients import sign_in
from tests.crawl import bare
from tests.db_dump import kept_of
from tests.words import Reader

SPANISH = re.compile(r'href="([^"]*lang=es)"')
# What a page is told of the press before it.
OF_PRESS = re.compile(r"\b(?:pressed|by)=\w+")
PRESSED = (
    "confirm", "not-me", "email-me-again", "forget-note", "change-address", "confirm-mailbox",
    "leave", "erase",
)  # fmt: skip


@pytest.fixture
def links(links):
    return {**links, "erase": f"{bare(links['my-groups'])}/erase"}


def test_every_press_leads_to_a_page_that_is_read_again_in_either_language(
    visitor, services, links
):
    for name in PRESSED:
        answer = visitor.press(links[name])
        assert answer.status_code == 303, name
        page = visitor.open(answer.location)
        assert page.status_code == 200, name
        before = kept_of(services)
        [spanish] = SPANISH.findall(page.text)
        read = visitor.open(unescape(spanish))
        assert read.status_code == 200, name
        assert Reader(read.text).language == "es", name
        assert OF_PRESS.findall(unescape(spanish)) == OF_PRESS.findall(answer.location), name
        assert read.headers.getlist("Set-Cookie") == [], name
        assert kept_of(services) == before, name


def test_the_page_of_a_press_says_only_what_still_holds(visitor, links):
    """What a new member reads is shown for an hour, and by no emailed link."""
    not_me, confirm = (bare(links[name]) for name in ("not-me", "confirm"))
    joined = visitor.press(links["confirm"]).location
    assert "You’re already in" in visitor.open(f"{confirm}?pressed=1").text
    for minutes, words in ((0, "Welcome!"), (59, "Welcome!"), (61, "You’re already in")):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            assert words in visitor.open(joined).text
    assert f'action="{not_me}' in visitor.open(f"{not_me}?pressed=1").text
    left = visitor.press(not_me).location
    assert "You’ve left the group" in visitor.open(left).text
    assert "You’ve left the group" in visitor.open(joined).text


def test_the_page_says_no_more_email_only_to_a_person_who_has_asked_for_it(visitor, worker, links):
    told, again = "We won’t email you again", "Let us email you again"
    forgotten = visitor.follow(links["not-me"], choice="forget").text
    assert told not in forgotten
    assert again not in forgotten
    assert told not in visitor.open(f"{links['not-me']}&pressed=never").text
    asked = visitor.press(links["not-me"], choice="never").location
    assert told in visitor.open(asked).text
    worker.drain()
    assert told in visitor.open(asked).text
    assert again in visitor.open(asked).text


def test_the_result_of_a_press_is_in_the_title(app, keyring):
    lead = sign_in(app, keyring, "the-village")
    page = "/lead/groups/the-village/page"
    assert "<title>Saved: " not in lead.open(page).text
    saved = lead.send(page, summary_en="Tea for everyone")
    assert "<title>Saved: " in lead.open(saved.location).text
    undone = lead.send(page, undo="1")
    assert "<title>Done: " in lead.open(undone.location).text
