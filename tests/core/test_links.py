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
from tests.markers import on_sqlite

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
pytestmark = on_sqlite

FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "666",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
}


def test_a_link_begins_with_the_base_url_and_is_the_same_for_every_try(services):
    """No request is needed; a link for machines has no query."""
    for base_url in (
        "https://belong.example.org",
        "https://belong.example.org:8443",
        "https://example.org/belong",
        "http://localhost:5000",
    ):
        links = Links(base_url, services.tokens)
        link, again = (
            links.signed("subscriptions.manage", Purpose.LEAVE, "some-id", AT, "es")
            for _ in range(2)
        )
        assert link == again
        assert link.startswith(f"{base_url}/leave/some-id.")
        assert urlsplit(link).query == "lang=es"
        assert links.page("directory.index", "en") == f"{base_url}/?lang=en"
        machine = links.signed("subscriptions.one_click", Purpose.ONE_CLICK, "some-id", AT)
        assert urlsplit(machine).query == ""


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


def test_no_header_of_a_request_bends_a_mailed_link_or_a_redirect(visitor, relay, scenario):
    visitor.headers = FORGED
    mailed_links(scenario)
    links = [
        link
        for address in (GUEST, MEMBER)
        for mail in relay.to(address)
        for link in [*links_in(mail), (mail["List-Unsubscribe"] or "").strip("<>")]
        if link and "library.example.org" not in link
    ]
    assert len(links) >= 4
    assert all(link.startswith("http://localhost:5000/") for link in links)
    joined = visitor.join("the-village", "new@dpsk12.org").location
    written = visitor.send("/contact", message="Hello", topic="need", email=GUEST).location
    assert joined.startswith("/check-your-inbox/")
    assert written.startswith("/contact/received/")


def test_no_path_redirects_elsewhere(visitor):
    for path in (
        "//evil.example", "//evil.example/..", "/%2f%2fevil.example", "/\\evil.example",
        "/groups//",
    ):  # fmt: skip
        answer = visitor.client.get(path)
        assert answer.status_code in {400, 404, 308}
        location = urlsplit(answer.location or "")
        assert location.hostname in {None, "localhost"}
