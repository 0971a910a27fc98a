"""Before what much depends on, who signed in a while ago proves again who they are."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts.models import BrowserSession, SignIn
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.web.access import Access, endpoints
from tests import crawl
from tests.accounts.passkeys import details
from tests.browser_client import Form, Visitor, link_to
from tests.clients import sign_in, signed_in
from tests.db_dump import kept_of
from tests.leads.forms import FORMS, WITHOUT_WORDS, fill_in, path_for
from tests.markers import on_sqlite

pytestmark = on_sqlite
ASK, PAGE = "/account/proof", "confirm-identity"
NEEDED = "Please confirm that it’s you"
# Presses that send a newsletter, change rights or settings, or how somebody signs in.
MARKED = {
    "releases.release", "approvals.approve", "office_newsletters.send", "office.approval_rule",
    "people.invite", "people.do", "office_groups.listed", "office.settings",
    "account.page", "passkey.options", "passkey.remove", "office_imports.start",
}  # fmt: skip


@pytest.fixture
def lead(app, keyring) -> Visitor:
    """Sign in somebody who leads a group and works for the office."""
    return crawl.sign_in(app, keyring)


@pytest.fixture
def later(lead: Visitor):
    """The same, after a quarter of an hour in which they have read a page."""
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        assert lead.open("/lead/").status_code == 200
        yield lead


@pytest.fixture
def pages(app, services) -> dict[str, str]:
    adapter = app.url_map.bind("localhost")
    return {adapter.match(path)[0]: path for path in crawl.lead_stops(app, services)}


def ask(browser: Visitor, worker, relay, address: str = crawl.LEAD) -> str:
    """Have a link emailed, and return it."""
    assert browser.act(ASK).location.startswith(f"{ASK}?asked=1")
    worker.drain()
    return link_to(relay.to(address)[-1], PAGE)


def test_these_presses_want_a_fresh_proof_and_no_others(app):
    assert endpoints(app, Access.FRESH_PROOF) == MARKED


@pytest.mark.parametrize("endpoint", sorted(MARKED))
def test_what_was_entered_waits_for_the_proof_and_then_counts(
    endpoint, app, lead, pages, services, worker, relay
):
    """The press changes nothing, its page keeps all of it, and Continue does what it would have."""
    path = pages[endpoint] if endpoint in FORMS else path_for(app, endpoint, pages)
    typed = FORMS.get(endpoint, {"role": "the-village", "approval_rule": "always"})
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        sent = {**Form(lead.open("/lead/").text).fields, **typed}
        if endpoint in FORMS:
            sent = fill_in(lead, path, typed)
        before = kept_of(services)
        asked = lead.press(path, **sent)
        assert asked.status_code == 403
        assert NEEDED in asked.text
        assert kept_of(services) == before
        kept = form_of(asked.text, path)
        assert {name: kept.get(name) for name in typed} == typed
        assert lead.press(path, **kept).status_code == 403, "not proved yet"
        assert lead.press(ask(lead, worker, relay)).location.startswith(f"{ASK}?")
        shown = lead.open(ASK).text
        assert "Thank you, you’re confirmed" in shown
        assert lead.open(page_in(shown)).status_code == 200
        answer = lead.press(path, **kept)
        assert answer.status_code != 403
        assert answer.mimetype == "application/zip" or NEEDED not in answer.text
    assert details(services, Kind.PROVEN) == ["link"]


@pytest.mark.parametrize(
    ("endpoint", "wrong", "words"),
    [
        ("office.settings", {"help_lines": "Somebody abc"}, "Enter each line as name, phone"),
        ("people.invite", {"email": "somebody@example.com"}, "Use a DPS email address"),
        ("releases.release", {"when": "later", "day": "tomorrow"}, "Choose a date"),
    ],
)
def test_what_is_wrong_is_said_before_a_proof_is_asked_for(
    endpoint, wrong, words, later, pages, services
):
    before = kept_of(services)
    sent = fill_in(later, pages[endpoint], FORMS[endpoint])
    refused = later.press(pages[endpoint], **{**sent, **wrong})
    assert (refused.status_code, NEEDED in refused.text) == (422, False)
    assert words in refused.text
    assert kept_of(services) == before


def form_of(page: str, path: str) -> dict[str, str]:
    """Return what the form of a page sends that goes to a path."""
    start = page.index('<form id="main-form"')
    form = Form(page[start : page.index("</form>", start)])
    assert form.action == path
    return form.fields


def page_in(shown: str) -> str:
    return shown.partition('<a class="button " href="')[2].partition('"')[0]


def test_a_sign_in_and_a_proof_last_a_quarter_of_an_hour(lead, pages, worker, relay):
    path, typed = pages["office.settings"], FORMS["office.settings"]
    with time_machine.travel(now() + FRESH_PROOF_AGE - timedelta(minutes=1)):
        assert lead.send(path, **typed).status_code == 303
        worker.drain()  # the office hears of changed settings
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False) as clock:
        assert lead.send(path, **typed).status_code == 403
        lead.press(ask(lead, worker, relay))
        clock.shift(FRESH_PROOF_AGE - timedelta(seconds=1))
        assert lead.send(path, **typed).status_code == 303
        clock.shift(timedelta(seconds=1))
        assert lead.send(path, **typed).status_code == 403


def test_pages_are_read_and_newsletters_written_without_a_proof(later, pages):
    """And another site's press is asked for none."""
    for endpoint in MARKED & pages.keys():
        assert later.open(pages[endpoint]).status_code == 200
    assert later.send(pages["editor.write"], **FORMS["editor.write"]).status_code == 303
    answer = later.press(pages["people.invite"], email="mine@dpsk12.org", csrf_token="old")
    assert answer.status_code == 400
    assert NEEDED not in answer.text


def test_the_link_asks_on_get_and_works_once(later, services, worker, relay):
    link = ask(later, worker, relay)
    before = kept_of(services)
    assert "Yes, it’s me" in later.open(link).text
    assert kept_of(services) == before
    assert later.press(link).status_code == 303
    assert later.press(link).status_code == 404
    assert details(services, Kind.PROVEN) == ["link"]


def test_the_link_proves_no_other_session_of_the_same_account_or_of_another(
    app, services, keyring, later, worker, relay, pages
):
    """A thief of a cookie asks for a link, and has its owner open it: that raises nobody."""
    link = ask(later, worker, relay)
    other = sign_in(app, keyring, "asian", "other@dpsk12.org")
    same = signed_in(app, keyring, crawl.LEAD)
    for browser in (other, same, Visitor(app.test_client())):
        refused = browser.press(link)
        assert refused.status_code == 403
        assert "only in the browser where you’re signed in" in refused.text
    assert details(services, Kind.PROVEN) == []
    typed = FORMS["office.settings"]
    assert later.send(pages["office.settings"], **typed).status_code == 403


def test_a_link_to_sign_in_and_one_to_confirm_are_not_each_other(later, worker, relay, services):
    later.send("/sign-in", email=crawl.LEAD)
    worker.drain()
    signing_in = link_to(relay.to(crawl.LEAD)[-1], "sign-in")
    confirming = ask(later, worker, relay)
    token = signing_in.rpartition("/")[2]
    assert later.press(f"/{PAGE}/{token}").status_code == 404
    assert later.press(f"/sign-in/{confirming.rpartition('/')[2]}").status_code == 404
    named = (Purpose.SIGN_IN, signing_in), (Purpose.PROOF, confirming)
    secrets = [
        services.tokens.read(purpose, link.rpartition("/")[2].partition("?")[0])
        for purpose, link in named
    ]
    own = [services.tokens.sign(Purpose.PROOF, secret, now()) for secret in secrets]
    assert [later.press(f"/{PAGE}/{each}").status_code for each in own].count(303) == 1


def test_what_the_database_and_the_webs_keys_tell_signs_nobody_in(later, worker, relay, services):
    """The row has a hash of the link's secret, which stands in the email alone."""
    later.send("/sign-in", email=crawl.LEAD)
    worker.drain()
    ask(later, worker, relay)
    with services.reading.begin() as session:
        names = session.scalars(select(SignIn.public_id)).all()
    assert len(names) > 1
    for purpose, page in ((Purpose.SIGN_IN, "sign-in"), (Purpose.PROOF, PAGE)):
        forged = [services.tokens.sign(purpose, name, now()) for name in names]
        assert {later.press(f"/{page}/{each}").status_code for each in forged} == {404}


def test_asking_again_and_again_locks_out_neither_this_session_nor_another(
    app, later, worker, relay
):
    """A few links come; the last one goes on to work, and so does signing in."""
    before = len(relay.to(crawl.LEAD))
    for _ in range(18):
        link = ask(later, worker, relay)
    assert len(relay.to(crawl.LEAD)) == before + 6
    owner = Visitor(app.test_client())
    owner.send("/sign-in", email=crawl.LEAD)
    worker.drain()
    assert owner.press(link_to(relay.to(crawl.LEAD)[-1], "sign-in")).status_code == 303
    assert owner.press(ask(owner, worker, relay)).status_code == 303
    assert later.press(link).status_code == 303


def test_a_session_that_is_over_or_was_ended_gets_no_link(later, worker, relay, services):
    before = len(relay.to(crawl.LEAD))
    later.send(ASK)
    with services.writing.begin() as session:
        long_ago = now() - timedelta(hours=13)
        session.execute(update(BrowserSession).values(started_at=long_ago))
    worker.drain()
    assert len(relay.to(crawl.LEAD)) == before


def test_another_language_shows_the_form_and_does_nothing(later, pages, services, app):
    path, typed = pages["people.invite"], FORMS["people.invite"]
    sent = fill_in(later, path, typed)
    before = kept_of(services)
    shown = later.press(f"{path}?lang=es", **sent, switch_language="es")
    assert shown.status_code == 200
    assert Form(shown.text).fields["email"] == typed["email"]
    for endpoint in sorted(MARKED & WITHOUT_WORDS):
        kept = {"csrf_token": sent["csrf_token"], "role": "office", "switch_language": "es"}
        later.press(f"{path_for(app, endpoint, pages)}?lang=es", **kept)
    assert kept_of(services) == before
