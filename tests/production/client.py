"""A browser without script, over TLS: it keeps cookies, and sends what browsers send."""

import http.client
import ssl
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from tests.browser_client import Form, path_of
from tests.servers.site import Answer

# Chromium's headers with a form of a page that forbids a Referer: no origin either.
OUR_OWN_FORM = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


class Client:
    """Visits one port of this machine."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self.cookies: dict[str, str] = {}

    def get(self, url: str) -> Answer:
        return self.open("GET", url)

    def post(
        self, url: str, fields: Mapping[str, Any], headers: Mapping[str, str] = OUR_OWN_FORM
    ) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.open("POST", url, urlencode(fields, doseq=True), {**form, **headers})

    def send(self, url: str, **typed: Any) -> Answer:
        """Open a page, fill in its form and send it as it stands there."""
        form = Form(self.get(url).text)
        return self.post(form.action or url, {**form.fields, **typed})

    def open(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        connection = http.client.HTTPSConnection(
            "localhost", self._port, timeout=60, context=self._context
        )
        kept = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            given = {**(kept if self.cookies else {}), **headers}
            connection.request(method, path_of(url), body, given)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: each.value for name, each in SimpleCookie(cookie).items()}
        return answer
