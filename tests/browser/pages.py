"""Every page and email, as the app answers a walk past all of them, for whoever looks at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import request, request_finished
from lxml.html import document_fromstring

from belong_mail.core import i18n
from tests import crawl
from tests.browser_client import Form, html_of, path_of
from tests.emails.given import contexts, renderer
from tests.factories import plan_meeting, queue_issue

OURS = "http://localhost:5000"
LONG = "Sustainability" * 3
TEXT = f"""## What we will do

Dear {{first_name}}, come to [tea](https://example.org/{"x" * 60}).

- One
- Two **bold** words

{LONG}

| day | place |
|---|---|
| Tuesday | {LONG} |
"""
# Fields that people type into.
TYPED = "//*[@id='main-form']//*[self::textarea or @type='text' or @type='email' or @type='date']"


@dataclass(frozen=True)
class Page:
    """An answer of the app, and the path at which it came."""

    name: str
    path: str
    status: int
    headers: dict[str, str]
    body: bytes


def shown(context, app, scenario, language: str) -> Iterator[tuple[str, Any]]:
    """Show each page and email in a browser; yield its name, and the browser's page with it.

    Of pages there is one of each make, also of forms with errors.
    """
    _speak(app, language)
    with _kept(app) as kept:
        _walk(app, scenario)
    page, letter = context.new_page(), context.new_page()
    playback = Playback(page, crawl.sign_in(app, scenario.keyring))
    for each in kept.values():
        playback.show(each)
        yield each.name, page
    for name, html in emails(scenario, language):
        letter.set_content(html)
        yield name, letter


def emails(scenario, language: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of each kind of email, the longest of its cases, and of an issue."""
    for kind, cases in contexts().items():
        made = (renderer().render(kind, language, **case).html for case in cases)
        yield f"mail-{kind}", max(made, key=len)
    yield "mail-issue", html_of(scenario.issue_to("me@dpsk12.org", language=language, text=TEXT))


def _speak(app, language: str) -> None:
    answer = app.wsgi_app

    def translated(environ: dict[str, Any], start: Any) -> Any:
        environ["HTTP_ACCEPT_LANGUAGE"] = language
        asked = environ["QUERY_STRING"]
        environ["QUERY_STRING"] = asked.replace(f"lang={i18n.DEFAULT}", f"lang={language}")
        return answer(environ, start)

    app.wsgi_app = translated


class Playback:
    """Shows pages in a browser as they were answered; the app answers what they ask for besides."""

    def __init__(self, page, seat) -> None:
        self._page, self._seat = page, seat
        self._shown: Page | None = None
        page.route("**/*", self._answer)

    def show(self, shown: Page) -> None:
        self._shown = shown
        self._page.goto(shown.path)

    def _answer(self, route: Any) -> None:
        asked, shown = route.request, self._shown
        if shown and asked.is_navigation_request() and asked.frame == self._page.main_frame:
            route.fulfill(status=shown.status, headers=shown.headers, body=shown.body)
            return
        given = {"method": asked.method, "data": asked.post_data_buffer, "buffered": True}
        got = self._seat.client.open(path_of(asked.url), **given)
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.data)


@contextmanager
def _kept(app) -> Iterator[dict[object, Page]]:
    kept: dict[object, Page] = {}

    def keep(_app: object, response: Any) -> None:
        body = response.get_data() if response.mimetype == "text/html" else b""
        if b"<main" in body:
            name = f"{request.endpoint}-{response.status_code}"
            tags = {str(each.tag) for each in document_fromstring(body).iter()}
            page = Page(name, request.path, response.status_code, dict(response.headers), body)
            kept.setdefault((name, frozenset(tags)), page)

    with request_finished.connected_to(keep, app):
        yield kept


def _walk(app, scenario) -> None:
    visitor, services = scenario.visitor, scenario.services
    links = crawl.mailed_links(scenario)
    with services.writing.begin() as session:
        plan_meeting(session, crawl.SLUG, place=f"Room {LONG}")
        queue_issue(session, crawl.SLUG, subject=LONG, text=TEXT)
    stops = crawl.stops(services, links, crawl.reference_of(visitor))
    places = [stop.url for stop in stops if stop.name != "style"]
    for place in places:
        visitor.open(place)
    list(crawl.used(scenario))
    crawl.open_thread(visitor, services)
    lead = crawl.sign_in(app, scenario.keyring)
    list(crawl.all_of_a_lead(lead, services))
    for place in (*places, *crawl.lead_stops(app, services)):
        _err(lead, place)
    list(crawl.pressed(visitor, links))
    list(crawl.prove_again(lead, scenario))


def _err(seat, path: str) -> None:
    """Send the page's form with nothing in it, where somebody has to type."""
    answer = seat.open(path)
    root = document_fromstring(answer.text or "<p>")
    if answer.mimetype == "text/html" and (found := root.xpath(TYPED)):
        form = Form(answer.text)
        empty = {each.get("name"): "" for each in found}
        seat.client.post(path_of(form.action or path), data={**form.fields, **empty})
