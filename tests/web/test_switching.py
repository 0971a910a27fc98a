"""Another language in the middle of a form: everything that was typed stays, nothing is done."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, path_of
from tests.crawl import lead_stops, mailed_links, reference_of, sign_in, stops
from tests.db_dump import kept_of
from tests.servers.smtp import Server
from tests.words import Reader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BUTTON = re.compile(r'name="switch_language" value="(\w\w)"[^>]*formaction="([^"]+)"')
UNTYPED = {"answer", "csrf_token", "trap", "seen", "picture", "flyer", "file", "topic"}
# Where one chooses: somebody new takes a group over.
CHOSEN = {"to": "new"}
# Join, contact, my groups, a new address, sign-in; write, pictures, release, page, questions.
FORMS = 10


def typed_into(page: str) -> dict[str, str]:
    """Fill every empty field of the page's form with words of its own."""
    fields = Form(page).fields
    return {
        name: CHOSEN.get(name, f"typed into {name}")
        if value == "" and name not in UNTYPED
        else value
        for name, value in fields.items()
    }


def pages_of(services: Services, links: dict[str, str], reference: str) -> list[str]:
    found = stops(services, links, reference)
    return [path_of(stop.url) for stop in found if not stop.url.startswith("/static/")]


def form_pages(
    app: Flask,
    visitor: Visitor,
    worker: Worker,
    relay: Server,
    services: Services,
    keyring: Keyring,
) -> Iterator[tuple[Visitor, str]]:
    """Find every page with a form to fill in, and who can open it."""
    lead = sign_in(app, keyring)
    links = mailed_links(visitor, worker, relay, services, keyring)
    places = pages_of(services, links, reference_of(visitor))
    for who, paths in ((visitor, places), (lead, list(lead_stops(app, services)))):
        for path in paths:
            answer = who.open(path)
            if answer.mimetype == "text/html" and 'id="main-form"' in answer.text:
                yield who, path


def test_a_form_shows_itself_in_another_language_with_everything_typed(
    app, visitor, worker, relay, services, keyring
):
    pages = list(form_pages(app, visitor, worker, relay, services, keyring))
    assert len({re.sub(r"groups/[a-z-]+", "groups", path) for _who, path in pages}) >= FORMS
    before = kept_of(services)
    for who, path in pages:
        page = who.open(path).text
        [(code, action)] = BUTTON.findall(page)
        assert code == "es", path
        typed = typed_into(page)
        answer = who.press(action, **typed, switch_language=code)
        assert answer.status_code == 200, path
        assert Reader(answer.text).language == "es", path
        assert 'role="alert"' not in answer.text, path
        kept = Form(answer.text).fields
        assert {**kept, "csrf_token": ""} == {**typed, "csrf_token": ""}, path
        [(code, action)] = BUTTON.findall(answer.text)
        assert code == "en", path
        assert "typed" not in action, path
    assert kept_of(services) == before


def test_a_draft_that_somebody_changed_meanwhile_is_not_overwritten_after_a_switch(
    app, services, keyring
):
    lead = sign_in(app, keyring)
    [path] = [
        place
        for place in lead_stops(app, services)
        if re.fullmatch(r"/lead/newsletters/[\w-]+", place)
    ]
    mine = {**Form(lead.open(path).text).fields, "text": "Mine."}
    assert lead.send(path, text="Theirs.").status_code == 303
    switched = lead.press(f"{path}?lang=es", **mine, switch_language="es")
    assert "Mine." in switched.text
    assert lead.press(path, **Form(switched.text).fields).status_code == 409
    assert "Theirs." in Form(lead.open(path).text).fields["text"]


def test_every_page_that_can_be_opened_offers_the_other_language(
    app, visitor, worker, relay, services, keyring
):
    lead = sign_in(app, keyring)
    links = mailed_links(visitor, worker, relay, services, keyring)
    places = pages_of(services, links, reference_of(visitor))
    for who, paths in ((visitor, places), (lead, list(lead_stops(app, services)))):
        for path in paths:
            answer = who.open(path)
            if answer.mimetype == "text/html" and 'class="bottom"' in answer.text:
                assert re.search(r'lang="es">Español</(a|button)>', answer.text), path
