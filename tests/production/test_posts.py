"""Every route that takes POST, posted over https as a browser does it."""

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.routing import Rule

from belong_mail.app import create_app
from config import Config
from tests.browser.site import SLUG, link_in, links_in
from tests.browser_client import Form
from tests.markers import night
from tests.production.client import OUR_OWN_FORM, Client
from tests.production.stage import Stage

pytestmark = night("installations")

LEAD = "posting@dpsk12.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
# Fields without which some forms are refused.
TYPED = {"language": "en", "days": "1", "approval_rule": "never"}
NUMBERS = {"IntegerConverter": 1}
# Servers of mail post these, which are no browsers.
FROM_MAIL = {"subscriptions.one_click"}
# Done, shown again with what is wrong in it, not there (what a made-up id comes to), or not
# possible as things are: a group that has started is not launched again.
ANSWERS = {200, 302, 303, 404, 409, 422}
# Taken, and refused for want of a passkey's answer, by a page that says so.
REFUSED = {"passkey.finish_proof": "with the passkey that you sign in with here"}


def invitations(stage: Stage) -> list[str]:
    """List links that accept what somebody is invited to, the newest first; it alone still does."""
    return [link for mail in stage.mails_to(LEAD) for link in links_in(mail, "invitation")]


def invite(stage: Stage, *role: str) -> None:
    before = len(invitations(stage))
    if "Invited" in stage.flask(*role):
        stage.wait_for(lambda: len(invitations(stage)) > before)


@pytest.fixture
def lead(stage: Stage) -> Client:
    """Sign in somebody who leads a group and works for the office."""
    invite(stage, "lead", "invite", LEAD, "--group", SLUG, "--name", "Kim")
    invite(stage, "office", "invite", LEAD)
    lead = stage.client()
    lead.send(invitations(stage)[0])
    before = len(stage.mails_to(LEAD))
    assert lead.send("/sign-in", email=LEAD).status_code == 303
    link = link_in(stage.mail_to(LEAD, before + 1), "sign-in")
    assert lead.send(link).status_code == 303
    assert lead.get("/lead/").status_code == 200
    return lead


@pytest.fixture
def app(stage: Stage) -> Iterator[Flask]:
    """The same app, to ask for its routes; it serves nothing."""
    app = create_app(Config.read(stage.settings()))
    yield app
    app.extensions["belong"].engine.dispose()


def posting(app: Flask) -> list[Rule]:
    """List the routes that take POST; the one that ends the session comes last."""
    found = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    return sorted(found, key=lambda rule: rule.endpoint == "sign_in.out")


def path(app: Flask, rule: Rule) -> str:
    """Fill in a route: our group, ids that nothing has, and of several buttons the first."""

    def value(name: str) -> object:
        converter = rule._converters[name]
        buttons = sorted(getattr(converter, "items", ()))
        found = NUMBERS.get(type(converter).__name__, buttons[0] if buttons else "x")
        return SLUG if name == "slug" else found

    values = {name: value(name) for name in rule.arguments}
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values, "POST")


def test_every_form_is_taken_over_https(app, lead):
    """None of the leads' was: Flask-WTF missed a Referer, which our own pages forbid."""
    token = Form(lead.get("/lead/").text).fields["csrf_token"]
    found = {}
    for rule in posting(app):
        body = ONE_CLICK if rule.endpoint in FROM_MAIL else {"csrf_token": token, **TYPED}
        answer = lead.post(path(app, rule), body)
        is_refused = answer.status_code == 403 and REFUSED.get(rule.endpoint, "-") in answer.text
        found[rule.endpoint] = 200 if is_refused else answer.status_code
    assert len(found) > 40
    assert {name: code for name, code in found.items() if code not in ANSWERS} == {}
    assert lead.get("/lead/").status_code == 302


def test_no_form_is_taken_from_another_site_nor_a_leads_without_its_token(app, stage, lead):
    elsewhere = {**OUR_OWN_FORM, "Sec-Fetch-Site": "cross-site"}
    referring = {**OUR_OWN_FORM, "Referer": f"{stage.url}/lead/"}
    for rule in posting(app):
        if rule.endpoint in FROM_MAIL:
            continue
        assert lead.post(path(app, rule), {}, elsewhere).status_code == 403, rule
        if rule.rule.startswith(("/lead", "/office")):
            assert lead.post(path(app, rule), {}, referring).status_code == 400, rule
