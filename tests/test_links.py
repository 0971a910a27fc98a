"""Mailed links: made from BASE_URL and an opaque id, whatever a request says of itself."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from flask import Flask

from belong_mail.links import Links
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose
from belong_mail.worker import Worker
from tests.people import Visitor, links_in
from tests.servers.smtp import Server
from tests.tour import GUEST, MEMBER, mailed_links

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "666",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
}


@pytest.mark.parametrize(
    "base_url",
    [
        "https://belong.example.org",
        "https://belong.example.org:8443",
        "https://example.org/belong",
        "http://localhost:5000",
    ],
)
def test_a_link_begins_with_the_base_url_and_works(app: Flask, base_url: str) -> None:
    parts: Parts = app.extensions["belong"]
    links = Links(app.url_map, base_url, parts.tokens)
    link = links.signed("subscriptions.leave", Purpose.LEAVE, "some-id", AT, "es")
    assert link.startswith(f"{base_url}/leave/some-id.")
    assert urlsplit(link).query == "lang=es"
    assert links.page("directory.index", "en") == f"{base_url}/?lang=en"


def test_a_link_for_machines_has_no_query(parts: Parts) -> None:
    link = parts.links.signed("subscriptions.one_click", Purpose.ONE_CLICK, "some-id", AT)
    assert urlsplit(link).query == ""


def test_links_need_no_request_and_are_the_same_for_every_try(parts: Parts) -> None:
    first, second = (
        parts.links.signed("subscriptions.confirm", Purpose.CONFIRM, "some-id", AT, "en")
        for _ in range(2)
    )
    assert first == second


def test_no_header_of_a_request_bends_a_mailed_link(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    visitor.headers = FORGED
    mailed_links(visitor, worker, relay, parts, keyring)
    links = [
        link
        for address in (GUEST, MEMBER)
        for mail in relay.to(address)
        for link in [*links_in(mail), (mail["List-Unsubscribe"] or "").strip("<>")]
        if link and "library.example.org" not in link
    ]
    assert len(links) >= 4
    assert all(link.startswith("http://localhost:5000/") for link in links)


def test_no_header_of_a_request_bends_a_redirect(visitor: Visitor) -> None:
    visitor.headers = FORGED
    for answer in (
        visitor.join("the-village", GUEST),
        visitor.send("/contact", message="Hello", topic="need", email=GUEST),
    ):
        assert answer.status_code == 303
        assert answer.location.startswith("/")
        assert not answer.location.startswith("//")


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "//evil.example/..", "/%2f%2fevil.example", "/\\evil.example", "/groups//"],
)
def test_no_path_redirects_elsewhere(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path)
    assert answer.status_code in {400, 404, 308}
    location = urlsplit(answer.location or "")
    assert location.hostname in {None, "localhost"}


def test_no_next_address_is_followed(visitor: Visitor) -> None:
    for name in ("next", "url", "return_to", "redirect"):
        url = f"/contact?{name}=https://evil.example"
        answer = visitor.send(url, message="Hi", topic="need", email=GUEST)
        assert answer.location.startswith("/contact/received/")
