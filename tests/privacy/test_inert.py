"""Mailed links are opened by scanners, previews and prefetchers: only a press may act."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.people import Visitor, path_of
from tests.servers.smtp import Server
from tests.tour import mailed_links, pressed

MACHINES: tuple[dict[str, str], ...] = (
    {},
    {"Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Site": "none"},
    {"X-Moz": "prefetch", "X-Purpose": "preview"},
    {"User-Agent": "Mozilla/5.0 (compatible; SafeLinks; BingPreview/1.0b)", "Accept": "*/*"},
    {"Range": "bytes=0-10", "If-None-Match": "*", "If-Modified-Since": "Mon, 1 Jan 2035 1:0:0 GMT"},
    {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", "X-HTTP-Method": "DELETE"},
    {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Origin": "https://evil.example",
    },
)
QUERIES = ("", "&_method=POST", "&List-Unsubscribe=One-Click&choice=never")


def test_a_mailed_link_opened_twenty_times_and_more_changes_nothing(
    app: Flask, visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    links = mailed_links(visitor, worker, relay, parts, keyring)
    before = dump_of(parts)
    client = app.test_client(use_cookies=False)
    for link in links.values():
        ways = list(itertools.product(("GET", "HEAD", "OPTIONS"), MACHINES, QUERIES))
        assert len(ways) >= 60
        for method, headers, query in ways:
            url = path_of(link) + (query if "?" in link else query.replace("&", "?", 1))
            assert client.open(url, method=method, headers=headers).status_code == 200
    assert dump_of(parts) == before


def test_the_same_links_act_when_pressed(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    links = mailed_links(visitor, worker, relay, parts, keyring)
    before = dump_of(parts)
    for name, answer in pressed(visitor, links):
        after = dump_of(parts)
        if name == "confirm again":
            assert answer.status_code == 404
        elif name != "leave":
            assert answer.status_code in {200, 204, 303}, name
            assert after != before, name
        before = after


@pytest.mark.parametrize("name", ["confirm", "one-click", "leave", "not-me"])
def test_pressed_many_times_at_once_a_link_acts_once(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring, name: str
) -> None:
    link = mailed_links(visitor, worker, relay, parts, keyring)[name]
    with ThreadPoolExecutor(4) as pool:
        presses = [
            pool.submit(visitor.press, link, **{"List-Unsubscribe": "One-Click"}) for _ in range(8)
        ]
        codes = {press.result().status_code for press in presses}
    assert codes <= {200, 204}
    worker.drain()
    mails = [mail["Subject"] for one in relay.accepted for mail in [one.message]]
    assert mails.count("Welcome! You are in.") == (1 if name == "confirm" else 0)
