"""People as the tests know them: they read pages, fill in forms, open mail."""

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class Form(HTMLParser):
    """A page's main form, else its last: what a browser would send if nothing were typed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        self.action = ""
        self._is_inside = False
        self._is_found = False
        self._select = ""
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "form" and not self._is_found:
            self._is_inside = True
            self._is_found = given.get("id") == "main-form"
            self.fields, self.action = {}, given.get("action") or ""
        elif not self._is_inside and given.get("form") != "main-form":
            return
        elif tag == "select":
            self._select = name or ""
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self.fields:
                self.fields[self._select] = value
        elif tag == "input" and name:
            is_choice = given.get("type") in {"checkbox", "radio"}
            if is_choice and "checked" in given and name in self.fields:
                self.fields[name] = [*_listed(self.fields[name]), value]
            elif not is_choice or "checked" in given:
                self.fields[name] = value
        elif tag == "textarea" and name:
            self._text = name
            self.fields[name] = ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self.fields[self._text] = self.fields[self._text].lstrip("\r\n")
            self._text = ""
        if tag == "form":
            self._is_inside = False


@dataclass
class Visitor:
    """A browser without script and cookies."""

    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)

    def open(self, url: str) -> TestResponse:
        """Open a page by path or by a mailed link."""
        return self.client.get(path_of(url), headers=self.headers)

    def press(self, url: str, **fields: Any) -> TestResponse:
        """Press the button of a page that a mailed link opened."""
        return self.client.post(path_of(url), data=fields, headers=self.headers)

    def act(self, path: str, **fields: Any) -> TestResponse:
        """Press a button as somebody who is signed in, with the token of their pages."""
        token = Form(self.open("/account").text).fields["csrf_token"]
        return self.press(path, csrf_token=token, **fields)

    def follow(self, url: str, **fields: Any) -> TestResponse:
        """Press the button of a page, and open the page that says what came of it."""
        pressed = self.press(url, **fields)
        return self.open(pressed.location) if pressed.status_code == 303 else pressed

    def send(self, url: str, **typed: Any) -> TestResponse:
        """Open a page, fill in its form and send it as it stands there."""
        form = Form(self.open(url).text)
        return self.client.post(
            path_of(form.action or url), data={**form.fields, **typed}, headers=self.headers
        )

    def join(self, slug: str, email: str, **typed: Any) -> TestResponse:
        return self.send(f"/groups/{slug}/join", email=email, **typed)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content())


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    return "" if body is None else str(body.get_content())


def links_in(mail: EmailMessage) -> list[str]:
    """List the links of the text part, in order."""
    return re.findall(r"https?://\S+", text_of(mail))


def link_to(mail: EmailMessage, page: str) -> str:
    """Return the mail's one link to a page such as “confirm”."""
    [link] = [link for link in links_in(mail) if f"/{page}/" in link]
    return link
