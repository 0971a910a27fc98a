"""What a press has done is said again in another language, and is not done again."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.core.tokens import Purpose
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, path_of
from tests.clients import sign_in
from tests.crawl import mailed_links
from tests.db_dump import kept_of
from tests.servers.smtp import Server
from tests.words import Reader

LINK = re.compile(r'href="(/result/[^"]+)"[^>]*lang="es"')
PRESSED = (
    "not-me",
    "email-me-again",
    "forget-note",
    "change-address",
    "confirm-mailbox",
    "leave",
    "undo",
)


def again(page: str) -> str:
    """Return where a page of a press is read in Spanish."""
    [link] = LINK.findall(page)
    return str(link)


def test_every_page_that_says_what_a_press_has_done_is_read_in_another_language(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> None:
    links = mailed_links(visitor, worker, relay, services, keyring)
    pressed = {name: visitor.press(links[name]) for name in ("confirm", *PRESSED)}
    pressed["erase"] = visitor.press(f"{path_of(links['my-groups']).partition('?')[0]}/erase")
    before = kept_of(services)
    for name, answer in pressed.items():
        assert answer.status_code == 200, name
        spanish = visitor.open(again(answer.text))
        assert spanish.status_code == 200, name
        assert Reader(spanish.text).language == "es", name
        assert answer.text.count("<li>") - spanish.text.count("<li>") in {-1, 0}, name
        assert spanish.headers["Referrer-Policy"] == "no-referrer", name
        assert spanish.headers.getlist("Set-Cookie") == [], name
    assert kept_of(services) == before


def test_leaving_is_undone_from_the_page_in_another_language(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> None:
    left = visitor.press(mailed_links(visitor, worker, relay, services, keyring)["leave"])
    spanish = visitor.open(again(left.text)).text
    [undo] = re.findall(r'action="(/undo/[^"]+)"', spanish)
    assert "Qué bueno" in visitor.press(undo).text


@pytest.mark.parametrize(
    "place", ["/confirm/", "/leave/", "/undo/", "/forget-note/", "/one-click/"]
)
def test_where_a_result_is_said_again_nothing_else_can_be_done(
    visitor: Visitor, services: Services, place: str
) -> None:
    token = services.tokens.sign(Purpose.RESULT, "left~1~", now())
    assert visitor.open(f"/result/{token}").status_code == 200
    assert visitor.press(f"/result/{token}").status_code == 405
    assert visitor.press(f"{place}{token}").status_code == 404


def test_after_two_days_a_result_is_said_no_more(visitor: Visitor, services: Services) -> None:
    token = services.tokens.sign(Purpose.RESULT, "left~1~", now())
    with time_machine.travel(now() + timedelta(hours=49)):
        assert visitor.open(f"/result/{token}").status_code == 404


def test_what_came_of_a_press_is_in_the_title(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    lead = sign_in(app, services, keyring, worker, relay, "the-village")
    page = "/lead/groups/the-village/page"
    assert "<title>Saved: " not in lead.open(page).text
    saved = lead.send(page, summary_en="Tea for everyone")
    assert "<title>Saved: " in lead.open(saved.location).text
    token = Form(lead.open(page).text).fields["csrf_token"]
    undone = lead.press(f"{page}/undo", csrf_token=token)
    assert "<title>Done: " in lead.open(undone.location).text
