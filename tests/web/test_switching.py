"""Another language in the middle of a form: everything that was typed stays, nothing is done."""

import re

import pytest

from tests.browser_client import Form, Visitor, path_of
from tests.crawl import lead_stops, reference_of, sign_in, stops
from tests.db_dump import kept_of
from tests.words import Reader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BUTTON = re.compile(r'name="switch_language" value="(\w\w)"[^>]*formaction="([^"]+)"')
UNTYPED = {"answer", "csrf_token", "trap", "seen", "picture", "flyer", "file", "topic"}
# Where one chooses: somebody new takes a group over.
CHOSEN = {"group": "the-village", "to": "new"}
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


def test_a_form_shows_itself_in_another_language_with_everything_typed(
    app, visitor, services, keyring, links
):
    """Every page that can be opened offers the other language."""
    lead = sign_in(app, keyring)
    found = stops(services, links, reference_of(visitor))
    places = [path_of(stop.url) for stop in found if not stop.url.startswith("/static/")]
    forms = []
    for who, paths in ((visitor, places), (lead, list(lead_stops(app, services)))):
        for path in paths:
            answer = who.open(path)
            if answer.mimetype != "text/html":
                continue
            if 'class="bottom"' in answer.text:
                assert re.search(r'lang="es">Español</(a|button)>', answer.text), path
            if 'id="main-form"' in answer.text:
                forms.append((who, path))
    assert len({re.sub(r"groups/[a-z-]+", "groups", path) for _who, path in forms}) >= FORMS
    before = kept_of(services)
    for who, path in forms:
        switch(who, path)
    assert kept_of(services) == before


def switch(who: Visitor, path: str) -> None:
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
