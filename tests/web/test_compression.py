"""Compression, and its limits: a secret beside words of a stranger's (BREACH)."""

import gzip

import pytest
from werkzeug.test import TestResponse

from tests.browser_client import Form, Visitor, path_of
from tests.crawl import lead_stops, reference_of, sign_in, stops

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GZIP = {"Accept-Encoding": "gzip, deflate, br"}
STYLE = "/static/belong.css"
SAME_FOR_EVERYBODY = (
    "/", "/?lang=es", "/groups/asian", "/groups/asian/join", "/privacy", "/accessibility",
    "/contact", "/my-groups", "/sign-in", "/check-your-inbox", STYLE, "/static/compose.js",
)  # fmt: skip
FIRST_VISIT, LATER = 15 * 1024, 6 * 1024


@pytest.fixture
def visitor(visitor) -> Visitor:
    """Somebody whose browser takes each answer whole, a file's too."""
    return Buffered(visitor.client, visitor.headers)


class Buffered(Visitor):
    def open(self, url: str) -> TestResponse:
        return self.client.get(path_of(url), headers=self.headers, buffered=True)


def is_compressed(answer: TestResponse) -> bool:
    return answer.headers.get("Content-Encoding") == "gzip"


def test_a_page_for_everybody_and_a_file_are_compressed(visitor):
    for path in SAME_FOR_EVERYBODY:
        visitor.headers = {}
        plain = visitor.open(path)
        visitor.headers = GZIP
        squeezed = visitor.open(path)
        assert is_compressed(squeezed), path
        assert len(squeezed.data) == int(squeezed.headers["Content-Length"]) < len(plain.data) / 2
        unpacked = gzip.decompress(squeezed.data).decode()
        assert unpacked.partition("csrf_token")[0] == plain.text.partition("csrf_token")[0]
        for answer in (plain, squeezed):
            assert "Accept-Encoding" in answer.headers["Vary"]
        assert not is_compressed(plain)


def test_a_client_that_does_not_accept_gzip_gets_none(visitor):
    """Nor does what is small anyway."""
    for accepted in ("", "identity", "br", "gzip;q=0", "*;q=0", "deflate, gzip;q=0.0"):
        visitor.headers = {"Accept-Encoding": accepted}
        for path in ("/", STYLE):
            assert not is_compressed(visitor.open(path)), accepted
    visitor.headers = GZIP
    for path in ("/healthz", "/robots.txt"):
        assert not is_compressed(visitor.open(path))


def test_no_answer_with_a_secret_or_a_strangers_words_is_compressed(
    app, visitor, services, keyring, links
):
    lead = sign_in(app, keyring)
    reference = reference_of(visitor)
    places = [stop.url for stop in stops(services, links, reference) if stop.is_private]
    places += ["/nowhere", "/?x=1", "/contact?topic=x", "/groups/the-village/join?email=a"]
    typed = {**Form(visitor.open("/contact").text).fields, "email": "x" * 600}
    seats = [*lead_stops(app, services), "/", "/contact"]
    visitor.headers = lead.headers = GZIP
    kept = {place: visitor.open(place) for place in [*places, f"/contact/received/{reference}"]}
    kept |= {f"a lead’s {place}": lead.open(place) for place in seats}
    kept["errors"] = visitor.press("/contact", **typed)
    kept["switched"] = visitor.press("/contact?lang=es", **typed, switch_language="es")
    kept["refused"] = visitor.press("/contact")
    kept |= {name: visitor.press(url) for name, url in links.items()}
    assert len(kept) > 50
    assert [name for name, answer in kept.items() if is_compressed(answer)] == []


def test_cookies_of_the_parent_domain_change_nothing(visitor):
    """Each of ours means a page of one's own."""
    for cookie in ("_ga=GA1.2.345", "belong-x=1", "x=1; _ga=GA1.2.345"):
        visitor.headers = {**GZIP, "Cookie": cookie}
        for path in ("/", "/groups/asian", "/contact"):
            assert is_compressed(visitor.open(path)), cookie
    for cookie in ("belong=x", "belong-known=x", "_ga=1; belong=x"):
        visitor.headers = {**GZIP, "Cookie": cookie}
        assert not is_compressed(visitor.open("/")), cookie


def test_a_file_is_kept_for_ever_only_under_the_name_of_what_it_holds(visitor):
    """By its other names it is asked for again, and known again, also compressed."""
    page = visitor.open("/").text
    named = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert "immutable" in visitor.open(named).headers["Cache-Control"]
    for other in (STYLE, STYLE + "?v=", STYLE + "?v=0123456789", "/static/nothing.css?v=1"):
        assert "immutable" not in visitor.open(other).headers["Cache-Control"], other
    beyond = visitor.client.get(named, headers={"Range": "bytes=9999999-"})
    assert beyond.status_code == 416
    assert "immutable" not in beyond.headers["Cache-Control"]
    visitor.headers = GZIP
    first = visitor.open(STYLE)
    assert first.headers["ETag"].startswith('W/"')
    visitor.headers = {**GZIP, "If-None-Match": first.headers["ETag"]}
    again = visitor.open(STYLE)
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_first_visit_weighs_at_most_15_kb_and_a_later_page_6(visitor, language):
    visitor.headers = {**GZIP, "Accept-Language": language}
    files = [STYLE, "/static/colors.css", "/static/logo.svg"]
    weights = {
        path: len(visitor.open(path).data)
        for path in SAME_FOR_EVERYBODY
        if not path.startswith("/static")
    }
    fetched = sum(len(visitor.open(file).data) for file in files)
    assert weights["/"] + fetched <= FIRST_VISIT
    assert {path: weight for path, weight in weights.items() if weight > LATER} == {}
