"""A lead signs in by a mailed link: the browser that asked, ten minutes, once."""

import pytest
from flask import Flask
from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from tests.browser_client import Form, Visitor, link_to
from tests.clients import sign_in
from tests.factories import group_named
from tests.markers import on_both

LEAD = "lead@dpsk12.org"


def browser(app: Flask) -> Visitor:
    return Visitor(app.test_client())


def make_lead(services: Services, keyring: Keyring, address: str, slug: str) -> None:
    with services.writing.begin() as session:
        group = group_named(session, slug)
        invitations.invite(session, keyring.opener, keyring.index, group, address)


@on_both("journeys")
def test_a_lead_signs_in_once_and_out_again(app, services, keyring, worker, relay):
    make_lead(services, keyring, LEAD, "the-village")
    lead = browser(app)
    assert lead.open("/lead/").location.startswith("/sign-in")
    assert lead.send("/sign-in", email=LEAD).location == "/sign-in/sent"
    worker.drain()
    [mail] = relay.to(LEAD)
    link = link_to(mail, "sign-in")
    assert "Select the button to sign in" in lead.open(link).text
    assert lead.press(link).location.startswith("/lead/")
    assert "The Village" in lead.open("/lead/").text
    assert lead.press(link).status_code == 404

    assert lead.press("/sign-out").status_code == 400
    lead.act("/sign-out")
    assert lead.open("/lead/").status_code == 302


@pytest.mark.parametrize("settings", [{"BELONG_BASE_URL": "https://localhost"}, {}])
@pytest.mark.parametrize("everywhere", [{}, {"everywhere": "1"}], ids=["here", "everywhere"])
def test_signing_out_empties_the_browser_where_it_may_be_told_to(
    everywhere,
    app, services, keyring
):  # fmt: skip
    """Signing out leaves nothing but what makes the browser known; "everywhere" takes that too."""
    lead = sign_in(app, keyring, "the-village")
    answer = lead.act("/sign-out", **everywhere)
    is_secure = services.settings.base_url.startswith("https:")
    cleared = answer.headers.get("Clear-Site-Data", "")
    assert ('"storage"' in cleared) == is_secure
    assert ('"cookies"' in cleared) == (is_secure and bool(everywhere))
    ended = [each for each in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in each]
    names = {each.partition("=")[0] for each in ended}
    assert names == ({"belong", "belong-known"} if everywhere else {"belong"})


def test_the_link_works_only_in_the_browser_that_asked(app, services, keyring, worker, relay):
    make_lead(services, keyring, LEAD, "the-village")
    lead, other = browser(app), browser(app)
    lead.send("/sign-in", email=LEAD)
    other.send("/sign-in", email="somebody@dpsk12.org")
    worker.drain()
    link = link_to(relay.to(LEAD)[0], "sign-in")
    assert "another browser" in other.open(link).text
    assert other.press(link).status_code == 403
    assert lead.press(link).status_code == 303


def test_a_stranger_gets_the_same_answer_and_no_mail(app, worker, relay):
    stranger = browser(app)
    assert stranger.send("/sign-in", email="nobody@dpsk12.org").location == "/sign-in/sent"
    worker.drain()
    assert relay.accepted == []


@pytest.mark.parametrize(
    ("language", "subject"), [("en", "Your sign-in link"), ("es", "Tu enlace para iniciar sesión")]
)
def test_the_mail_comes_in_the_language_of_the_form(
    app, services, keyring, worker, relay,
    language, subject
):  # fmt: skip
    make_lead(services, keyring, LEAD, "the-village")
    lead = browser(app)
    sent = lead.send(f"/sign-in?lang={language}", email=LEAD)
    assert sent.location == f"/sign-in/sent?lang={language}"
    worker.drain()
    [mail] = relay.to(LEAD)
    assert mail["Subject"] == subject
    link = link_to(mail, "sign-in")
    assert link.endswith(f"?lang={language}")
    assert lead.press(link).location == f"/lead/?lang={language}"


@pytest.mark.parametrize("typed", ["", "   ", "\t", "lead", "a@b@dpsk12.org", "x" * 300])
def test_what_is_no_address_is_asked_for_again_and_kept(visitor, services, typed):
    answer = visitor.send("/sign-in", email=typed)
    assert answer.status_code == 422
    assert "<title>Problem" in answer.text
    assert Form(answer.text).fields["email"] == typed.strip()
    with services.reading.begin() as session:
        assert session.scalars(select(Job)).all() == []
