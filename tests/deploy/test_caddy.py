"""Caddy with our Caddyfile: what reaches the web, what goes back, and what is logged."""

import http.client
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest

from tests.deploy import caddy
from tests.servers.pages import serving
from tests.servers.ports import free_port
from tests.servers.site import Browser
from tests.servers.tls import Authority

SECRET = "geheim-und-lang-genug"
MEGABYTE = 1_000_000


@pytest.fixture
def web():
    """A server behind the proxy, and the requests that reached it."""
    seen = SimpleNamespace(port=0, requests=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.requests.append((self.path, self.headers))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            page = b"a page " * 1000
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_POST = do_GET  # noqa: N815 - http.server's name

    with serving(Handler) as seen.port:
        yield seen


@pytest.fixture
def proxy(web, authority: Authority, tmp_path) -> Iterator[caddy.Caddy]:
    with caddy.running(tmp_path, authority, web.port) as running:
        yield running


def client(running: caddy.Caddy, authority: Authority) -> Browser:
    return Browser(running.port, ssl.create_default_context(cafile=authority.file))


def test_the_web_hears_who_asks_from_caddy_alone_and_compresses_pages_itself(web, proxy, authority):
    lies = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "gopher", "Forwarded": "for=me"}
    lies |= {name.replace("-", "_"): value for name, value in lies.items()}
    asks = {"Accept-Encoding": "gzip, zstd, br"}
    answer = client(proxy, authority).get("/groups/asian", lies | asks)
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] is None
    assert "Caddy" not in str(answer.headers)
    [(path, headers)] = web.requests
    assert path == "/groups/asian"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Host"] == f"localhost:{proxy.port}"
    assert headers["Forwarded"] is None
    assert not any("_" in name for name in headers)


def test_flyers_pass_and_what_is_larger_does_not(web, proxy, authority):
    visitor = client(proxy, authority)
    assert visitor.open("/flyers", "POST", "x" * (15 * MEGABYTE)).status_code == 200
    announced = {"Content-Length": str(17 * MEGABYTE)}
    assert visitor.open("/flyers?lang=es", "POST", "x", announced).status_code == 200
    path, headers = web.requests[-1]
    assert (path, headers["Content-Length"]) == ("/too-long?lang=es", None)


def test_plain_http_leads_to_https(web, proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=60)
    connection.request("GET", "/my-groups/x?y=z", headers={"Host": "localhost"})
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 308
    assert answer.headers["Location"] == "https://localhost/my-groups/x?y=z"
    assert web.requests == []


def test_when_the_web_is_away_the_log_says_so_without_a_path_or_an_address(authority, tmp_path):
    with caddy.running(tmp_path, authority, free_port()) as running:
        visitor = client(running, authority)
        assert visitor.get(f"/my-groups/{SECRET}").status_code == 502
        answer = visitor.post(f"/my-groups/{SECRET}/leave", {"email": SECRET})
        assert answer.status_code == 502
    said = running.log.read_text()
    unanswered = [line for line in said.splitlines() if '"status":502' in line]
    assert len(unanswered) == 2
    assert "connection refused" in unanswered[0]
    for word in (SECRET, "remote_ip", "/my-groups"):
        assert word not in said
