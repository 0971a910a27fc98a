"""Mailed links: made from BASE_URL and an opaque id, whatever a request says of itself."""

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from belong_mail.core.links import PATHS, Links
from belong_mail.core.tokens import Purpose
from tests.browser_client import links_in
from tests.crawl import GUEST, MEMBER, mailed_links

ROOT = Path(__file__).resolve().parents[2]
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
def test_a_link_begins_with_the_base_url_and_works(services, base_url):
    links = Links(base_url, services.tokens)
    link = links.signed("subscriptions.leave", Purpose.LEAVE, "some-id", AT, "es")
    assert link.startswith(f"{base_url}/leave/some-id.")
    assert urlsplit(link).query == "lang=es"
    assert links.page("directory.index", "en") == f"{base_url}/?lang=en"


@pytest.mark.parametrize("base_url", ["https://Belong.example.org:8443", "http://bélong.org/x"])
@pytest.mark.parametrize("value", ["some-id", "a/b c?d=e&f#g%h+é’<\"@:,;!$'()*~"])
def test_a_worker_links_as_the_apps_own_url_map_does(app, services, base_url, value):
    """A worker has the paths without the views."""
    links, root = Links(base_url, services.tokens), urlsplit(base_url)
    own = app.url_map.bind(root.netloc, script_name=root.path or "/", url_scheme=root.scheme)
    for endpoint in PATHS:
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint == endpoint]
        assert [re.sub(r"<[^<>]+:", "<", rule.rule) for rule in rules] == [PATHS[endpoint]]
        values = {name: 7 if name == "number" else value for name in rules[0].arguments}
        assert links.plain(endpoint, **values) == own.build(endpoint, values, force_external=True)
        spoken = {**values, "lang": value, "more": value}
        assert links.plain(endpoint, **spoken) == own.build(endpoint, spoken, force_external=True)


def test_every_path_is_linked_to(services):
    others = {"belong_mail/core/links.py", "belong_mail/pages/errors.py"}
    files = (ROOT / "belong_mail").rglob("*.py")
    texts = [each.read_text() for each in files if str(each.relative_to(ROOT)) not in others]
    assert [name for name in PATHS if not any(f'"{name}"' in text for text in texts)] == []


def test_a_link_for_machines_has_no_query(services):
    link = services.links.signed("subscriptions.one_click", Purpose.ONE_CLICK, "some-id", AT)
    assert urlsplit(link).query == ""


def test_links_need_no_request_and_are_the_same_for_every_try(services):
    first, second = (
        services.links.signed("subscriptions.confirm", Purpose.CONFIRM, "some-id", AT, "en")
        for _ in range(2)
    )
    assert first == second


def test_no_header_of_a_request_bends_a_mailed_link(visitor, worker, relay, services, keyring):
    visitor.headers = FORGED
    mailed_links(visitor, worker, relay, services, keyring)
    links = [
        link
        for address in (GUEST, MEMBER)
        for mail in relay.to(address)
        for link in [*links_in(mail), (mail["List-Unsubscribe"] or "").strip("<>")]
        if link and "library.example.org" not in link
    ]
    assert len(links) >= 4
    assert all(link.startswith("http://localhost:5000/") for link in links)


def test_no_header_of_a_request_bends_a_redirect(visitor):
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
def test_no_path_redirects_elsewhere(visitor, path):
    answer = visitor.client.get(path)
    assert answer.status_code in {400, 404, 308}
    location = urlsplit(answer.location or "")
    assert location.hostname in {None, "localhost"}


def test_no_next_address_is_followed(visitor):
    for name in ("next", "url", "return_to", "redirect"):
        url = f"/contact?{name}=https://evil.example"
        answer = visitor.send(url, message="Hi", topic="need", email=GUEST)
        assert answer.location.startswith("/contact/received/")
