"""Mailed links are opened by scanners, previews and prefetchers: only a press may act."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser_client import path_of
from tests.crawl import pressed
from tests.db_dump import dump_of, kept_of
from tests.markers import on_both

MACHINES: tuple[dict[str, str], ...] = (
    {},
    {"Purpose": "prefetch"},
    {"Range": "bytes=0-10", "If-None-Match": "*", "If-Modified-Since": "Mon, 1 Jan 2035 1:0:0 GMT"},
    {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST", "X-HTTP-Method": "DELETE"},
    {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Origin": "https://evil.example",
    },
)
QUERIES = ("", "&_method=POST", "&List-Unsubscribe=One-Click&choice=never")


def test_a_mailed_link_opened_twenty_times_and_more_changes_nothing(visitor, services, links):
    before = kept_of(services)
    ways = list(itertools.product(("GET", "HEAD", "OPTIONS"), MACHINES, QUERIES))
    assert len(ways) >= 40
    for link in links.values():
        for method, headers, query in ways:
            url = path_of(link) + (query if "?" in link else query.replace("&", "?", 1))
            answer = visitor.client.open(url, method=method, headers=headers)
            assert answer.status_code == 200, (url, method, headers)
    assert kept_of(services) == before


def test_the_same_links_act_when_pressed(visitor, services, links):
    before = kept_of(services)
    for name, answer in pressed(visitor, links):
        after = dump_of(services)
        if name == "confirm again":
            assert answer.status_code == 409
        elif name.startswith("after "):
            assert (answer.status_code, after) == (200, before), name
        elif name != "leave":
            assert answer.status_code in {200, 204, 303}, name
            assert after != before, name
        before = after


@on_both("races")
@pytest.mark.parametrize("name", ["confirm", "one-click", "leave", "not-me"])
def test_pressed_many_times_at_once_a_link_acts_once(visitor, worker, relay, links, name):
    with ThreadPoolExecutor(4) as pool:
        presses = [
            pool.submit(visitor.press, links[name], **{"List-Unsubscribe": "One-Click"})
            for _ in range(8)
        ]
        codes = {press.result().status_code for press in presses}
    assert codes <= {200, 204, 303}
    worker.drain()
    mails = [mail["Subject"] for one in relay.accepted for mail in [one.message]]
    assert mails.count("Welcome! You’re in.") == (1 if name == "confirm" else 0)
