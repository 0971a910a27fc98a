"""People as the tests know them: they read pages, fill in forms, open mail."""

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from lxml.html import document_fromstring, fromstring
from werkzeug.test import TestResponse


def read(words: str) -> str:
    """Return words as people read them, who see no difference between kinds of spaces."""
    return words.replace("\u00a0", " ")


class ReadPage(TestResponse):
    @property
    def text(self) -> str:
        return read(super().text)


class ReadingClient(FlaskClient):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.response_wrapper = type("Answer", (ReadPage, self.response_wrapper), {})


class Form:
    """What a browser would send if nothing were typed.

    By the first button of these words; else by a page's main form, else by its last.
    """

    def __init__(self, page: str, words: str = "") -> None:
        root = document_fromstring(page)
        forms = [*root.xpath("//form[@id='main-form']"), *root.forms[::-1], fromstring("<form>")]
        self.fields: dict[str, Any] = {}
        if words:
            button = next(one for one in root.iter("button") if read(one.text_content()) == words)
            forms = list(button.iterancestors("form"))
            if "name" in button.attrib:
                self.fields[button.get("name")] = button.get("value")
        self.action = forms[0].get("action", "")
        outside = root.xpath("//*[@form='main-form']")
        self.names = {each.get("name") for each in [*forms[0].iter(), *outside]}
        for each in [*forms[0].inputs, *outside]:
            self._add(each)

    def _add(self, given: Any) -> None:
        name, value = given.get("name"), given.get("value", "")
        if name is None or given.tag == "button":
            return
        if given.tag == "textarea":
            value = (given.text or "").lstrip("\r\n")
        elif given.tag == "select":
            value = given.value or ""
        elif given.get("type") in {"checkbox", "radio"} and "checked" not in given.attrib:
            return
        if name in self.fields:
            value = [*_listed(self.fields[name]), value]
        self.fields[name] = value


def differences(page: str) -> dict[str, str]:
    """Return by its label what differs in a field that someone else changed meanwhile."""
    told = document_fromstring(page).xpath("//*[@role='alert']//dl/*")
    return {
        label.text_content(): words.text_content()
        for label, words in zip(told[::2], told[1::2], strict=True)
    }


@dataclass
class Visitor:
    """A browser without script and cookies."""

    # A FlaskClient, or a `Browser` of tests/servers/site.py.
    client: Any
    headers: dict[str, str] = field(default_factory=dict)

    def open(self, url: str) -> Any:
        return self.client.get(path_of(url), headers=self.headers)

    def press(self, url: str, **fields: Any) -> Any:
        """Press the button of a page that a mailed link opened."""
        return self.client.post(path_of(url), data=fields, headers=self.headers)

    def act(self, path: str, **fields: Any) -> Any:
        """Press a button as somebody who is signed in, with the token of their pages."""
        token = Form(self.open("/account").text).fields["csrf_token"]
        return self.press(path, csrf_token=token, **fields)

    def choose(self, page: str, words: str, **typed: Any) -> Any:
        """Press the first button of these words on a page, with what its form has."""
        form = Form(page, words)
        return self.press(form.action, **form.fields | typed)

    def follow(self, url: str, **fields: Any) -> Any:
        """Press the button of a page, and open the page that says what came of it."""
        pressed = self.press(url, **fields)
        return self.open(pressed.location) if pressed.status_code == 303 else pressed

    def send(self, url: str, **typed: Any) -> Any:
        """Open a page, fill in its form and send it as it stands there."""
        assert not (missing := typed.keys() - Form(self.open(url).text).names), missing
        return self.forge(url, **typed)

    def forge(self, url: str, **typed: Any) -> Any:
        """Send a page's form with more than anybody can fill in there."""
        form = Form(self.open(url).text)
        return self.client.post(
            path_of(form.action or url), data={**form.fields, **typed}, headers=self.headers
        )

    def join(self, slug: str, email: str, **typed: Any) -> Any:
        return self.send(f"/groups/{slug}/join", email=email, **typed)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else read(str(body.get_content()))


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    return "" if body is None else read(str(body.get_content()))


def links_of(page: str) -> set[str]:
    return {each.get("href", "") for each in document_fromstring(page).iter("a")}


def links_in(mail: EmailMessage) -> list[str]:
    return re.findall(r"https?://\S+", text_of(mail))


def link_to(mail: EmailMessage, page: str) -> str:
    """Return the mail's one link to a page such as “confirm”."""
    [link] = [link for link in links_in(mail) if f"/{page}/" in link]
    return link
