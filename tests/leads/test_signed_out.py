"""A session that ended loses no words: signing in again brings each form back, filled in."""

import io
import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from html import unescape
from typing import Any

import pytest
import time_machine

from belong_mail.core.db import now
from tests import crawl
from tests.browser_client import Form, Visitor, path_of
from tests.clients import sign_in, signed_in
from tests.db_dump import kept_of
from tests.leads.forms import FORMS, buttons, fill_in, path_for
from tests.markers import one_by_day
from tests.newsletters.flyers.samples import flyer
from tests.newsletters.pictures.samples import picture
from tests.servers.authenticator import Authenticator

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TYPED = re.compile('<textarea|<input[^>]*type="(?:text|email|url|date|time|datetime-local|file)"')
FORM = re.compile(r"<form(?P<given>[^>]*)>(?P<inside>.*?)</form>", re.DOTALL)
ACTION = re.compile(r'action="([^"]*)"')
End = Callable[[Visitor], Any]


def sit_still(_lead: Visitor) -> Any:
    """Rest for longer than a session does."""
    return time_machine.travel(now() + timedelta(minutes=31))


def sign_out_elsewhere(lead) -> Any:
    assert lead.act("/sign-out").status_code == 303
    return nullcontext()


ENDS = pytest.mark.parametrize("end", [sit_still, sign_out_elsewhere])


@pytest.fixture
def lead(app, keyring) -> Visitor:
    """Sign in somebody who leads a group and answers for the office."""
    return crawl.sign_in(app, keyring)


@pytest.fixture
def pages(app, services) -> dict[str, str]:
    """Map each page of a lead to its address, with a draft, a meeting and a thread to open."""
    adapter = app.url_map.bind("localhost")
    return {adapter.match(path)[0]: path for path in crawl.lead_stops(app, services)}


@pytest.fixture
def again(app, keyring) -> Callable[[Visitor], Visitor]:
    """Sign in once more in the same browser, as in another tab."""
    return partial(signed_in, app, keyring, crawl.LEAD)


def forms_in(page: str, path: str):
    """List where a page's forms with something to type are sent."""
    for found in FORM.finditer(page):
        if TYPED.search(found["inside"]) and "post" in found["given"]:
            action = ACTION.search(found["given"])
            yield path_of(unescape(action[1])).partition("?")[0] if action else path


def test_every_form_of_a_lead_and_of_the_office_is_tried_here(app, lead, pages):
    """A new form fails here until it is entered in FORMS."""
    adapter = app.url_map.bind("localhost")
    found = {
        adapter.match(action, "POST")[0]
        for path in pages.values()
        for action in forms_in(lead.open(path).text, path)
    }
    assert found == set(FORMS)


def assert_shown(answer, typed: dict[str, Any]) -> dict[str, Any]:
    """Expect a form with what was typed in it; return what it would send."""
    fields = Form(answer.text).fields
    for name, words in typed.items():
        assert fields[name].replace("\r\n", "\n") == words.replace("\r\n", "\n"), name
    return fields


@one_by_day("each end of a session with each form", of="endpoint")
@ENDS
@pytest.mark.parametrize("endpoint", FORMS)
def test_a_typed_form_is_saved_after_signing_in_again(endpoint, end, lead, pages, services, again):
    typed, path = FORMS[endpoint], pages[endpoint]
    sent = fill_in(lead, path, typed)
    with end(lead):
        refused = lead.press(path, **sent)
        assert refused.status_code == 403
        assert "You were signed out" in refused.text
        assert '<a href="/sign-in" target="_blank"' in refused.text
        kept = assert_shown(refused, typed)
        assert lead.press(path, **kept).status_code == 403, "still signed out"
        again(lead)
        before = kept_of(services)
        shown = lead.press(Form(refused.text).action, **kept)
        assert shown.status_code == 400
        assert "<title>Not saved yet: " in shown.text
        [notice] = re.findall(r"<div([^>]*)>\s*<p><strong>Nothing has been saved yet", shown.text)
        assert " autofocus" in notice
        assert not [name for name in typed if f'type="hidden" name="{name}"' in shown.text]
        ready = assert_shown(shown, typed)
        assert kept_of(services) == before
        if endpoint == "pictures.add":
            ready["picture"] = (io.BytesIO(picture()), "tea.png")
        if endpoint == "flyers.add":
            ready["flyer"] = (io.BytesIO(flyer()), "tea.pdf")
        if endpoint == "office_imports.add":
            ready["file"] = (io.BytesIO(b"ada@dpsk12.org"), "list.csv")
        if endpoint == "account.page":
            asked = lead.press("/account/passkeys/options", csrf_token=ready["csrf_token"])
            ready["answer"] = Authenticator().create(asked.json or {})
        answer = lead.press(path, **ready)
        assert answer.status_code == 303, re.findall(r'class="error"[^>]*>(.*?)</p>', answer.text)
    if endpoint != "releases.release":  # this draft cannot be sent: nobody is there to read it
        assert kept_of(services) != before


@one_by_day("each end of a session with each form")
@ENDS
def test_a_form_in_another_language_is_kept_in_it(end, lead, pages, again):
    path, typed = pages["editor.write"], FORMS["editor.write"]
    sent = fill_in(lead, path, typed)
    with end(lead):
        refused = lead.press(f"{path}?lang=es", **sent, switch_language="es")
        assert "Se cerró tu sesión" in refused.text
        assert "switch_language" not in Form(refused.text).fields
        again(lead)
        shown = lead.press(Form(refused.text).action, **assert_shown(refused, typed))
    assert "Todavía no se ha guardado nada" in shown.text
    assert_shown(shown, typed)


def test_a_button_with_an_old_token_does_nothing_until_it_is_pressed_again(
    app, lead, pages, services
):
    """Also where a page of the same address asks first: nothing acts on a form without a token."""
    in_flight = {"releases.act pause", "releases.act undo", "releases.act resume"}
    for endpoint in sorted(buttons(app) - {"editor.preview"} - in_flight):
        assert_old_token_does_nothing(path_for(app, endpoint, pages), lead, services)
    lead.send(pages["releases.release"], when="10")
    for endpoint in sorted(in_flight):
        assert_old_token_does_nothing(path_for(app, endpoint, pages), lead, services)


def assert_old_token_does_nothing(path: str, lead, services) -> None:
    before = kept_of(services)
    for token in ({}, {"csrf_token": "old"}):
        answer = lead.press(path, language="es", **token)
        assert answer.status_code == 400, path
        assert "csrf_token" in Form(answer.text).fields, path
    assert kept_of(services) == before, path


def test_a_picture_has_to_be_chosen_again_and_its_description_stays(lead, pages, again):
    typed, path = FORMS["pictures.add"], pages["pictures.add"]
    sent = fill_in(lead, path, typed)
    chosen = {"picture": (io.BytesIO(picture() + b"\0" * 505_000), "tea.png")}
    with sit_still(lead):
        refused = lead.press(path, **sent, **chosen)
        assert refused.status_code == 403
        assert "We can’t keep the file you chose" in refused.text
        again(lead)
        shown = lead.press(path, **assert_shown(refused, typed))
    assert_shown(shown, typed)


def test_no_form_of_another_site_or_large_form_of_a_stranger_is_shown_again(app, lead, pages):
    stranger = Visitor(app.test_client(use_cookies=False))
    large = {"picture": (io.BytesIO(b"\0" * 505_000), "tea.png"), "description": "Mine and yours"}
    with sit_still(lead):
        lead.headers = {"Origin": "https://evil.example"}
        answers = [lead.press(pages["editor.write"], text="Mine and yours")]
    for answer in (*answers, stranger.press(pages["pictures.add"], **large)):
        assert answer.status_code == 403
        assert "Mine and yours" not in answer.text


def test_somebody_else_who_signs_in_gets_nothing_of_it_saved(app, keyring, pages):
    """The group is not theirs: what was typed is not shown as if it could be saved."""
    other = sign_in(app, keyring, "asian")
    answer = other.press(pages["editor.write"], text="Mine now", csrf_token="old")
    assert answer.status_code == 400
    fresh = Form(answer.text)
    assert other.press(fresh.action, **fresh.fields).status_code == 404
