"""Mailed links are opened by scanners, previews and prefetchers: only a press may act."""

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from belong_mail.core.db import now
from belong_mail.newsletters import service as newsletters
from tests.browser_client import Visitor, link_to, links_in, path_of
from tests.crawl import MEMBER, MOVED, SLUG, bare, mailed_links, pressed, sign_in
from tests.db_dump import dump_of, kept_of
from tests.factories import group_named
from tests.markers import on_both

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
# Subjects of mails that bring no link that acts.
TELLING = (
    "The copy you asked for", "We deleted your information",
    "Your email address for DPS Belong was changed",
    "Your newsletter wasn’t sent. What would you like to do?", "We have your message",
)  # fmt: skip
QUERIES = ("", "&_method=POST", "&List-Unsubscribe=One-Click&choice=never")


WAYS = list(itertools.product(("GET", "HEAD", "OPTIONS"), MACHINES, QUERIES))


def open_in_all_ways(browser: Visitor, links: Iterable[str]) -> set[int]:
    """Open links as machines do, again and again; return the statuses that came back."""
    assert len(WAYS) >= 60
    return {
        browser.client.open(
            path_of(link) + (query if "?" in link else query.replace("&", "?", 1)),
            method=method,
            headers=headers,
        ).status_code
        for link in links
        for method, headers, query in WAYS
    }


def test_a_mailed_link_opened_twenty_times_and_more_changes_nothing(
    visitor, worker, relay, services, keyring
):
    links = mailed_links(visitor, worker, relay, services, keyring)
    before = kept_of(services)
    assert open_in_all_ways(visitor, links.values()) == {200}
    assert kept_of(services) == before


def test_so_do_the_links_of_the_mails_that_only_tell(
    app, visitor, worker, relay, services, keyring
):
    lead = sign_in(app, keyring)
    links = mailed_links(visitor, worker, relay, services, keyring)
    sheet = bare(links["my-groups"])
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
        issue.due_at = now() - timedelta(hours=2)
    visitor.send("/contact", topic="need", message="Where is the library?", email=MEMBER)
    visitor.press(f"{sheet}/copy")
    worker.drain()
    visitor.follow(links["change-address"])
    worker.drain()
    visitor.send("/my-groups", email=MOVED)
    worker.drain()
    visitor.press(f"{bare(link_to(relay.to(MOVED)[-1], 'my-groups'))}/erase")
    worker.drain()
    mails = [each.message for each in relay.accepted]
    told = {begins: [m for m in mails if m["Subject"].startswith(begins)] for begins in TELLING}
    assert [begins for begins in TELLING if not told[begins]] == []
    of_mails = {url for each in told.values() for mail in each for url in links_in(mail)}
    found = {url for url in of_mails if url.startswith(services.settings.base_url)}
    assert {urlsplit(url).path.split("/")[1] for url in found} == {"contact", "lead"}
    before = kept_of(services)
    assert open_in_all_ways(visitor, found) <= {200, 302}
    assert open_in_all_ways(lead, found) == {200}
    assert kept_of(services) == before


def test_the_same_links_act_when_pressed(visitor, worker, relay, services, keyring):
    links = mailed_links(visitor, worker, relay, services, keyring)
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
def test_pressed_many_times_at_once_a_link_acts_once(
    visitor, worker, relay, services, keyring, name
):
    link = mailed_links(visitor, worker, relay, services, keyring)[name]
    with ThreadPoolExecutor(4) as pool:
        presses = [
            pool.submit(visitor.press, link, **{"List-Unsubscribe": "One-Click"}) for _ in range(8)
        ]
        codes = {press.result().status_code for press in presses}
    assert codes <= {200, 204, 303}
    worker.drain()
    mails = [mail["Subject"] for one in relay.accepted for mail in [one.message]]
    assert mails.count("Welcome! You’re in.") == (1 if name == "confirm" else 0)
