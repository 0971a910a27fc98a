"""A browser between our two buttons: go to the provider, and come back."""

import re
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.browser_client import Form, path_of

BACK = "/sign-in/district/back"


def begin(browser):
    """Press the button on the sign-in page."""
    page = browser.open("/sign-in").text
    action = "/sign-in/district"
    [form] = re.findall(f'<form method="post" action="{action}">.*?</form>', page, re.DOTALL)
    return browser.press(action, **Form(form).fields)


def begin_link(browser):
    return browser.act("/account/district")


def at_provider(left) -> str:
    """Follow the page that leaves to the provider, which sends the browser back: return where."""
    assert left.status_code == 200, left.text
    return answer_to(left.headers["Refresh"].partition("url=")[2])


def answer_to(url: str) -> str:
    """Open a page of the provider's, and return where it sends the browser."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    assert answer.status == 302, answer.read()
    connection.close()
    location = answer.getheader("Location") or ""
    assert location.startswith(f"http://localhost:5000{BACK}?")
    return path_of(location)


def finish(browser, back: str):
    """Press the button of the page on which a browser comes back."""
    page = browser.open(back)
    assert page.status_code == 200, page.text
    form = Form(page.text)
    return browser.press(form.action, **form.fields)


def sign_in(browser):
    return finish(browser, at_provider(begin(browser)))


def link(browser):
    return finish(browser, at_provider(begin_link(browser)))
