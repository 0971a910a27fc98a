"""Every answer's headers, and what is refused before any view sees it."""

import hashlib
import io
import itertools
import os
import re
from html import escape, unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from belong_mail.web.security_headers import CONTENT_POLICY
from tests.browser_client import Form, path_of
from tests.clients import sign_in
from tests.crawl import pressed, reference_of, stops
from tests.db_dump import kept_of
from tests.district_names import HTTPS, NAMED

OURS = "http://localhost:5000"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTS = (
    "/groups/the-village/join", "/contact", "/confirm/x", "/not-me/x", "/leave/x", "/leave/x/undo",
    "/leave/x/pause", "/leave/x/language", "/leave/x/remind", "/my-groups/x/remind",
    "/my-groups", "/my-groups/x/leave", "/my-groups/x/erase",
    "/email-me-again/x", "/my-groups/x/change-address", "/change-address/x",
    "/sign-in", "/sign-in/x",
)  # fmt: skip


def test_every_answer_is_guarded_by_its_headers(app, visitor, services, links):
    answers = []
    for stop in stops(services, links, reference_of(visitor)):
        for method, language in itertools.product(("GET", "HEAD", "OPTIONS"), ("en", "es")):
            spoken = {"Accept-Language": language}
            client = app.test_client(use_cookies=False)
            answer = client.open(path_of(stop.url), method=method, headers=spoken, buffered=True)
            is_mail = stop.name in {"mail", "html"}
            answers.append((f"{method} {stop.name}", answer, stop.is_private, is_mail))
    answers += [(name, page, True, False) for name, page in pressed(visitor, links)]
    answers += [(f"POST {url}", visitor.client.post(url), False, False) for url in POSTS]
    for name, answer, is_private, is_mail in answers:
        headers = answer.headers
        assert "Set-Cookie" not in headers, name
        assert headers["X-Content-Type-Options"] == "nosniff", name
        for policy in ("Referrer", "Cross-Origin-Opener", "Cross-Origin-Resource"):
            assert headers[f"{policy}-Policy"] == "same-origin", name
        assert "camera=()" in headers["Permissions-Policy"], name
        assert headers["Strict-Transport-Security"].startswith("max-age=31536000"), name
        assert not any(header.startswith("Access-Control") for header, _ in headers), name
        if not is_mail:
            assert headers["Content-Security-Policy"] == CONTENT_POLICY, name
            assert headers["X-Frame-Options"] == "DENY", name
        if name not in {"GET style", "HEAD style"}:
            assert headers["Cache-Control"] == "no-store", name
        if not name.endswith(" style"):
            assert "Accept-Language" in headers["Vary"], name
        if is_private:
            assert "noindex" in headers["X-Robots-Tag"], name


def test_the_policy_allows_nothing_from_elsewhere_and_no_script_in_a_page(visitor):
    given = visitor.open("/").headers["Content-Security-Policy"]
    policy = dict(rule.split(" ", 1) for rule in given.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not any(word in given for word in ("unsafe", "http", "*"))


@pytest.mark.parametrize("settings", [{}, HTTPS], ids=["development", "production"])
def test_the_one_cookie_comes_with_the_wish_to_sign_in_and_is_kept_close(app, visitor, settings):
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


OTHER_SITES: tuple[dict[str, str], ...] = (
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
    {"Origin": "null"},
)
OWN: tuple[dict[str, str], ...] = (
    {},
    {"Origin": OURS},
    {"Origin": OURS, "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
)


def test_other_sites_forms_are_refused_and_nothing_is_stored(visitor, services):
    before = kept_of(services)
    for headers in OTHER_SITES:
        visitor.headers = headers
        for url in POSTS:
            pressed = visitor.press(url, email="ada@dpsk12.org", message="Hello")
            assert pressed.status_code == 403, (headers, url)
    assert kept_of(services) == before
    for headers in OWN:
        visitor.headers = headers
        assert visitor.join("the-village", "ada@dpsk12.org").status_code == 303, headers


def test_a_form_whose_origin_is_hidden_comes_back_with_what_was_typed(visitor, services):
    """Safari before 16.4 sends no Sec-Fetch-Site, and some set-ups hide the origin as well."""
    typed = {"message": "Long words, typed on an old iPad.", "topic": "other"}
    fields = Form(visitor.open("/contact").text).fields
    visitor.headers = {"Origin": "null", "Accept-Language": "es"}
    before = kept_of(services)
    refused = visitor.press("/contact", **{**fields, **typed})
    assert refused.status_code == 403
    assert kept_of(services) == before
    assert "Presiona el botón otra vez" in refused.text
    again = Form(refused.text)
    assert typed.items() <= again.fields.items()
    assert again.action
    assert visitor.press("/not/a/page").status_code == 404
    visitor.headers = {"Origin": OURS}
    assert "Long words" in visitor.press(again.action, **again.fields).text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_button_of_a_page_leads_to_a_site_that_its_address_names(app, method):
    r"""A browser reads `\` as `/`, and leaves out tabs and line ends, before it opens a link."""
    for trick in ("//", "/\\", "/\\/", "/\t/", "/\n/", "/\r\\", "/./\\", "/.//"):
        environ = EnvironBuilder(method=method, base_url=OURS).get_environ()
        environ |= {"PATH_INFO": f"{trick}evil.example/a", "HTTP_ORIGIN": "null"}
        pieces, _, _ = run_wsgi_app(app.wsgi_app, environ, buffered=True)
        page = b"".join(pieces).decode()
        links = re.findall(r'(?:href|action)="([^"]*)"', page)
        assert len(links) > 1
        for link in links:
            read = re.sub(r"[\t\r\n]", "", unescape(link)).replace("\\", "/")
            assert urljoin(OURS, read).startswith(f"{OURS}/"), link


@pytest.mark.parametrize("settings", [HTTPS | {"BELONG_PROXIES": "1"}])
@pytest.mark.parametrize("sent", [{"Origin": "null"}, {"Origin": HTTPS["BELONG_BASE_URL"]}])
def test_over_https_a_lead_needs_no_referer_but_a_token_and_our_own_origin(
    app, services, keyring, sent
):
    """Some browsers send no Referer, and `Origin` is null in some."""
    lead = sign_in(app, keyring, "the-village")
    ours = {"Sec-Fetch-Site": "same-origin", **sent}
    lead.headers = ours
    new = "/lead/groups/the-village/newsletters"
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    before = kept_of(services)
    assert lead.press(new).status_code == 400
    lead.headers = {**ours, "Sec-Fetch-Site": "same-site"}
    assert lead.press(new, csrf_token=token).status_code == 403
    assert kept_of(services) == before
    lead.headers = ours
    assert lead.press(new, csrf_token=token).status_code == 303


def test_a_text_that_is_too_long_stays_in_its_field(visitor):
    """As not every browser has it after “back”; and on the page for a browser without an origin."""
    words = "Where is the <library>? ¿Dónde está? " * 7_000
    answer = visitor.press("/contact", message=words)
    assert answer.status_code == 422
    assert escape(words.strip()) in answer.text
    visitor.headers = {"Origin": "null"}
    assert escape(words) in visitor.press("/contact", message=words).text


def test_a_form_that_is_far_too_long_gets_its_own_page_whichever_page_reads_it_first(
    app, visitor, keyring, caplog
):
    """By many fields; where the browser hides its origin; and on a page that is not one's own."""
    lead = sign_in(app, keyring, "the-village")
    visitor.headers = {"Origin": "null"}
    fields = {f"f{n}": "Two words" for n in range(101)} | {"file": (io.BytesIO(b"x"), "x.png")}
    long = {"message": "Two words " * 60_000}
    for who, url, sent in (
        (visitor, "/contact", fields),
        (visitor, "/contact", long),
        (lead, "/office/settings", long),
        (lead, "/office/groups/asian/import/start", long),
    ):
        answer = who.press(url, **sent)
        assert answer.status_code == 413
        assert "That’s too long to send" in answer.text
    assert "ERROR" not in caplog.text


def test_ten_megabytes_are_refused_in_words(visitor, services, links):
    before = kept_of(services)
    for language in ("en", "es"):
        visitor.headers = {"Accept-Language": language}
        for url in ("/groups/the-village/join", "/contact", links["one-click"]):
            answer = visitor.press(url, email="ada@dpsk12.org", message="x" * 10_000_000)
            assert answer.status_code == 413, url
            assert f'lang="{language}"' in answer.text
    answer = visitor.client.post(
        "/contact",
        input_stream=io.BytesIO(b"message=" + b"x" * 10_000_000),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code in {413, 422}
    assert kept_of(services) == before


def test_other_methods_and_foreign_hosts_are_refused(visitor, services):
    before = kept_of(services)
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"):
        for path in ("/", *POSTS):
            assert visitor.client.open(path, method=method).status_code == 405
    for host in (
        "evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "",
        "a b",
        "[",
    ):
        for path in ("/", "/groups/the-village/join"):
            answer = visitor.client.open(path, headers={"Host": host})
            assert answer.status_code == 400
            assert "evil.example" not in answer.text
        answer = visitor.client.post("/contact", data={"message": "x"}, headers={"Host": host})
        assert answer.status_code == 400
    assert kept_of(services) == before


@pytest.mark.parametrize("settings", [NAMED])
def test_in_production_machines_alone_ask_by_this_machines_own_name(app, services):
    client, before = app.test_client(), kept_of(services)
    for host in ("localhost", "127.0.0.1:5000", "LOCALHOST"):
        own = {"Host": host}
        for path in ("/", "/groups/the-village/join", "/sign-in", "/lead/", "/metrics", "/nowhere"):
            assert client.get(path, headers=own).status_code == 400
        assert client.post("/contact", data={"message": "x"}, headers=own).status_code == 400
        for path in ("/healthz", "/readyz"):
            assert client.get(path, headers=own).status_code == (400 if host.isupper() else 200)
    assert kept_of(services) == before
    assert client.get("/", headers={"Host": "belong.example.org"}).status_code == 200


@pytest.mark.timeout(30)
def test_options_below_static_opens_no_file_and_tells_nothing_about_one(
    app, visitor, tmp_path, caplog
):
    """Nobody learns whether a file is there, or its hash; a pipe without a writer stops nothing."""
    secret, pipe = tmp_path / "keys", tmp_path / "pipe"
    secret.write_bytes(b"a key")
    os.mkfifo(pipe)
    up = "/".join([".."] * len(Path(app.static_folder or "").parts))
    answers = set()
    for file in (secret, pipe, tmp_path, tmp_path / "nothing", Path("/dev/zero")):
        for version in (hashlib.sha256(b"a key").hexdigest()[:10], "", "x"):
            answer = visitor.client.options(f"/static/{up}{file}?v={version}")
            answers.add((answer.status_code, answer.data, answer.headers["Cache-Control"]))
    assert answers == {(200, b"", "no-store")}
    assert caplog.text == ""


def test_options_runs_no_view_and_is_kept_by_nobody(app, visitor):
    for rule in app.url_map.iter_rules():
        for filling in ("x", "1", "../../../../../../etc/passwd", "%00", "2027-01"):
            path = re.sub("<[^>]+>", filling, rule.rule)
            answer = visitor.client.options(f"{path}?v=")
            assert answer.status_code in {200, 302, 308, 404}, path
            assert answer.status_code != 200 or answer.data == b"", path
            assert "public" not in answer.headers["Cache-Control"], path
