"""Every answer's headers, and what is refused before any view sees it."""

import io
import itertools

import pytest
from flask import Flask

from belong_mail.headers import CONTENT_POLICY
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.people import Visitor, path_of
from tests.servers.smtp import Server
from tests.tour import mailed_links, pressed, reference_of, stops

OURS = "http://localhost:5000"
KEPT = ("calendar", "feed")
"""What any cache may keep: it is the same for everybody."""
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTS = (
    "/groups/the-village/join", "/contact", "/confirm/x", "/not-me/x", "/leave/x", "/undo/x",
    "/leave/x/pause", "/leave/x/language", "/leave/x/remind", "/my-groups/x/remind",
    "/my-groups", "/my-groups/x/leave", "/my-groups/x/erase",
    "/my-groups/x/change-address", "/change-address/x", "/sign-in", "/sign-in/x",
)  # fmt: skip


def test_every_answer_is_guarded_by_its_headers(
    app: Flask, visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    links = mailed_links(visitor, worker, relay, parts, keyring)
    answers = []
    for stop in stops(parts, links, reference_of(visitor)):
        for method, language in itertools.product(("GET", "HEAD", "OPTIONS"), ("en", "es")):
            answer = app.test_client(use_cookies=False).open(
                path_of(stop.url),
                method=method,
                headers={"Accept-Language": language},
                buffered=True,
            )
            is_mail = stop.name in {"mail", "html"}
            answers.append((f"{method} {stop.name}", answer, stop.is_private, is_mail))
    answers += [(name, page, True, False) for name, page in pressed(visitor, links)]
    answers += [(f"POST {url}", visitor.client.post(url), False, False) for url in POSTS]
    for name, answer, is_private, is_mail in answers:
        headers = answer.headers
        assert "Set-Cookie" not in headers, name
        assert headers["X-Content-Type-Options"] == "nosniff", name
        assert headers["Referrer-Policy"] == "no-referrer", name
        assert headers["Strict-Transport-Security"].startswith("max-age=31536000"), name
        assert not any(header.startswith("Access-Control") for header, _ in headers), name
        if not is_mail:
            assert headers["Content-Security-Policy"] == CONTENT_POLICY, name
            assert headers["X-Frame-Options"] == "DENY", name
        if name in {f"{method} {kept}" for method in ("GET", "HEAD") for kept in KEPT}:
            assert headers["Cache-Control"] == "public, max-age=300", name
            varies = set(headers["Vary"].split(", "))
            assert varies - {"Accept-Encoding"} == {"Accept-Language"}, name
        elif name not in {"GET style", "HEAD style"}:
            assert headers["Cache-Control"] == "no-store", name
        if is_private:
            assert "noindex" in headers["X-Robots-Tag"], name
            assert "no-referrer" in answer.text or answer.status_code != 200 or not answer.data


def test_the_policy_allows_nothing_from_elsewhere_and_no_script_in_a_page(visitor: Visitor) -> None:
    given = visitor.open("/").headers["Content-Security-Policy"]
    policy = dict(rule.split(" ", 1) for rule in given.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not any(word in given for word in ("unsafe", "http", "*"))


HTTPS = {
    "BELONG_ENV": "production",
    "BELONG_BASE_URL": "https://belong.example.org",
    "BELONG_MAIL_DOMAIN": "example.org",
    "BELONG_POSTAL_ADDRESS": "1860 Lincoln St, Denver",
    "BELONG_CONTACT_INBOX": "office@example.org",
}


@pytest.mark.parametrize("settings", [{}, HTTPS], ids=["development", "production"])
def test_the_one_cookie_comes_with_the_wish_to_sign_in_and_is_kept_close(
    app: Flask, visitor: Visitor, settings: dict[str, str]
) -> None:
    for path in ("/", "/sign-in", "/sign-in/sent", "/my-groups", "/lead/"):
        assert "Set-Cookie" not in visitor.open(path).headers, path
    answer = visitor.send("/sign-in", email="ada@dpsk12.org")
    [cookie] = answer.headers.getlist("Set-Cookie")
    pair, *marks = cookie.split("; ")
    names = {mark.partition("=")[0]: mark.partition("=")[2] for mark in marks}
    assert names["SameSite"] == "Lax"
    assert names["Path"] == "/"
    assert "HttpOnly" in names
    assert not {"Domain", "Expires", "Max-Age"} & names.keys()
    assert ("Secure" in names) is bool(settings)
    assert pair.startswith("__Host-belong=" if settings else "belong=")
    assert "dpsk12" not in cookie
    assert app.config["SESSION_COOKIE_HTTPONLY"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:5001"},
        {"Origin": "https://localhost:5000"},
        {"Origin": f"{OURS}.evil.example"},
        {"Origin": ""},
    ],
)
def test_other_sites_forms_are_refused_and_nothing_is_stored(
    visitor: Visitor, parts: Parts, headers: dict[str, str]
) -> None:
    visitor.headers = {}
    before = dump_of(parts)
    page = visitor.open("/groups/the-village/join")
    visitor.headers = headers
    for url in POSTS:
        assert visitor.press(url, email="ada@dpsk12.org", message="Hello").status_code == 403, url
    assert page.status_code == 200
    assert dump_of(parts) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OURS},
        {"Origin": "null"},
        {"Origin": OURS, "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_our_own_forms_come_through(visitor: Visitor, headers: dict[str, str]) -> None:
    visitor.headers = headers
    assert visitor.join("the-village", "ada@dpsk12.org").status_code == 303


@pytest.mark.parametrize("language", ["en", "es"])
def test_ten_megabytes_are_refused_in_words(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring, language: str
) -> None:
    links = mailed_links(visitor, worker, relay, parts, keyring)
    before = dump_of(parts)
    visitor.headers = {"Accept-Language": language}
    for url in ("/groups/the-village/join", "/contact", links["one-click"]):
        answer = visitor.press(url, email="ada@dpsk12.org", message="x" * 10_000_000)
        assert answer.status_code == 413, url
        assert f'lang="{language}"' in answer.text
    assert dump_of(parts) == before


def test_a_body_without_a_length_stores_nothing(visitor: Visitor, parts: Parts) -> None:
    before = dump_of(parts)
    answer = visitor.client.post(
        "/contact",
        input_stream=io.BytesIO(b"message=" + b"x" * 10_000_000),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code in {413, 422}
    assert dump_of(parts) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_do_nothing(visitor: Visitor, parts: Parts, method: str) -> None:
    before = dump_of(parts)
    for path in ("/", *POSTS):
        assert visitor.client.open(path, method=method).status_code == 405
    assert dump_of(parts) == before


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example", "", "a b", "["]
)
def test_a_foreign_host_is_refused(visitor: Visitor, parts: Parts, host: str) -> None:
    before = dump_of(parts)
    for path in ("/", "/groups/the-village/join"):
        answer = visitor.client.open(path, headers={"Host": host})
        assert answer.status_code == 400
        assert "evil.example" not in answer.text
    answer = visitor.client.post("/contact", data={"message": "x"}, headers={"Host": host})
    assert answer.status_code == 400
    assert dump_of(parts) == before
