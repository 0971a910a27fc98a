"""What a press has done is said again in another language, and is not done again."""

import re
from datetime import timedelta

import pytest
import time_machine

from belong_mail.db import now
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.people import Visitor, path_of
from tests.servers.smtp import Server
from tests.tour import mailed_links
from tests.words import Reader

LINK = re.compile(r'href="(/result/[^"]+)"[^>]*lang="es"')
PRESSED = ("not-me", "forget-note", "change-address", "confirm-mailbox", "leave", "undo")


def again(page: str) -> str:
    """Return where a page of a press is read in Spanish."""
    [link] = LINK.findall(page)
    return str(link)


def test_every_page_that_says_what_a_press_has_done_is_read_in_another_language(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    links = mailed_links(visitor, worker, relay, parts, keyring)
    pressed = {name: visitor.press(links[name]) for name in ("confirm", *PRESSED)}
    pressed["erase"] = visitor.press(f"{path_of(links['my-groups']).partition('?')[0]}/erase")
    before = dump_of(parts)
    for name, answer in pressed.items():
        assert answer.status_code == 200, name
        spanish = visitor.open(again(answer.text))
        assert spanish.status_code == 200, name
        assert Reader(spanish.text).language == "es", name
        assert answer.text.count("<li>") - spanish.text.count("<li>") in {-1, 0}, name
        assert spanish.headers["Referrer-Policy"] == "no-referrer", name
        assert spanish.headers.getlist("Set-Cookie") == [], name
    assert dump_of(parts) == before


def test_leaving_is_undone_from_the_page_in_another_language(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    left = visitor.press(mailed_links(visitor, worker, relay, parts, keyring)["leave"])
    spanish = visitor.open(again(left.text)).text
    [undo] = re.findall(r'action="(/undo/[^"]+)"', spanish)
    assert "Qué bueno" in visitor.press(undo).text


@pytest.mark.parametrize(
    "place", ["/confirm/", "/leave/", "/undo/", "/forget-note/", "/one-click/"]
)
def test_where_a_result_is_said_again_nothing_else_can_be_done(
    visitor: Visitor, parts: Parts, place: str
) -> None:
    token = parts.tokens.sign(Purpose.RESULT, "left~1~", now())
    assert visitor.open(f"/result/{token}").status_code == 200
    assert visitor.press(f"/result/{token}").status_code == 405
    assert visitor.press(f"{place}{token}").status_code == 404


def test_after_two_days_a_result_is_said_no_more(visitor: Visitor, parts: Parts) -> None:
    token = parts.tokens.sign(Purpose.RESULT, "left~1~", now())
    with time_machine.travel(now() + timedelta(hours=49)):
        assert visitor.open(f"/result/{token}").status_code == 404
