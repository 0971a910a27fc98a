"""Before what much depends on, who signed in a while ago signs in again."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import delete, update

from belong_mail.accounts.models import Right
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core import jobs
from belong_mail.core.db import now
from belong_mail.core.rate_limits import SIGN_IN_KNOWN_BROWSER_RATE, Limit, WorkerLimit
from belong_mail.web.access import Access, endpoints
from tests import crawl
from tests.browser_client import Form, Visitor, link_to
from tests.clients import sign_in
from tests.db_dump import kept_of
from tests.leads.forms import FORMS, fill_in, path_for
from tests.markers import on_sqlite

pytestmark = on_sqlite
PROVEN = "/account/proof"
NEEDED = "Now check your inbox"
# Tables that asking for the link writes.
OF_A_LINK = {"audit_entries", "jobs", "limits"}
# Presses that send a newsletter, change rights or settings, or how somebody signs in.
MARKED = {
    "releases.release", "approvals.approve", "office_newsletters.send",
    "people.invite", "people.do", "office_groups.listed", "office.settings",
    "account.page", "passkey.options", "passkey.remove", "office_imports.start",
}  # fmt: skip


@pytest.fixture
def lead(app, scenario) -> Visitor:
    """Sign in somebody who leads a group and works for the office."""
    return crawl.sign_in(app, scenario.keyring)


@pytest.fixture
def later(lead):
    """The same, after a quarter of an hour in which they have read a page."""
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        assert lead.open("/lead/").status_code == 200
        yield lead


@pytest.fixture
def pages(app, scenario) -> dict[str, str]:
    adapter = app.url_map.bind("localhost")
    return {adapter.match(path)[0]: path for path in crawl.lead_stops(app, scenario.services)}


def ask(browser, scenario) -> str:
    """Press what needs a proof, have a link emailed, and return it."""
    asked = browser.act("/account/passkeys/remove", passkey="x")
    assert "Now check your inbox" in asked.text
    mail = scenario.mails(crawl.LEAD)[-1]
    assert mail["Subject"] == "Please confirm that it’s you"
    return link_to(mail, "sign-in")


def test_these_presses_want_a_fresh_proof_and_no_others(app):
    assert endpoints(app, Access.FRESH_PROOF) == MARKED


def test_changing_a_groups_words_needs_no_proof_and_changing_its_approval_rule_does(later):
    page = "/office/groups/asian"
    assert later.send(page, summary_en="Other words").status_code == 303
    assert later.open(PROVEN).status_code == 303, "nothing to thank for"
    asked = later.send(page, summary_en="Newest words", approval_rule="always")
    assert asked.status_code == 403
    assert NEEDED in asked.text
    assert "Newest words" in asked.text
    stored = Form(later.open(page).text).fields
    assert (stored["summary_en"], stored["approval_rule"]) == ("Other words", "auto")


@pytest.mark.parametrize("endpoint", sorted(MARKED))
def test_an_entered_form_waits_for_a_fresh_proof_and_then_goes_through(
    endpoint, app, lead, pages, scenario
):
    """The press changes nothing, its page keeps all of it, and Continue does what it would have."""
    path = pages[endpoint] if endpoint in FORMS else path_for(app, endpoint, pages)
    typed = FORMS.get(endpoint, {"role": "the-village"})
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        sent = {**Form(lead.open("/lead/").text).fields, **typed}
        if endpoint in FORMS:
            sent = fill_in(lead, path, typed)
        before = kept_of(scenario.services)
        asked = lead.press(path, **sent)
        assert asked.status_code == 403
        assert NEEDED in asked.text
        after = kept_of(scenario.services)
        assert {table for table, rows in after.items() if rows != before[table]} == OF_A_LINK
        [job] = [each for each in after["jobs"] if each not in before["jobs"]]
        assert "sign-in-again" in job
        kept = form_of(asked.text, path)
        assert {name: kept.get(name) for name in typed} == {
            name: words.replace("\r\n", "\n") for name, words in typed.items()
        }
        assert lead.press(path, **kept).status_code == 403, "not proved yet"
        assert lead.press(link_to(scenario.mails(crawl.LEAD)[-1], "sign-in")).location.startswith(
            PROVEN
        )
        shown = lead.open(PROVEN).text
        assert "Thank you, you’re confirmed" in shown
        goes_on = shown.partition('<a class="button quiet" href="')[2].partition('"')[0]
        assert lead.open(goes_on).status_code == 200
        answer = lead.press(path, **kept)
        assert answer.status_code != 403
        assert answer.status_code != 400, "the form of before goes on"
        assert NEEDED not in answer.text


@pytest.mark.parametrize(
    ("endpoint", "wrong", "words"),
    [
        ("office.settings", {"help_lines": "Somebody abc"}, "Enter each line as name, phone"),
        ("people.invite", {"email": "somebody@example.com"}, "Use a district email address"),
        ("releases.release", {"when": "later", "at": "tomorrow"}, "Choose a date"),
    ],
)
def test_a_wrong_form_is_refused_before_a_proof_is_asked_for(
    endpoint, wrong, words, later, pages, scenario
):
    before = kept_of(scenario.services)
    sent = fill_in(later, pages[endpoint], FORMS[endpoint])
    refused = later.press(pages[endpoint], **{**sent, **wrong})
    assert (refused.status_code, NEEDED in refused.text) == (422, False)
    assert words in refused.text
    assert kept_of(scenario.services) == before


def test_the_page_that_asked_last_goes_on_by_itself(lead, pages, scenario):
    """One link is emailed: none more for the page in Spanish, or for our script's own request."""
    path = pages["people.invite"]
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        before = len(scenario.relay.to(crawl.LEAD))
        asked = lead.press(path, **fill_in(lead, path, FORMS["people.invite"]))
        kept = form_of(asked.text, path)
        wanted = {"csrf_token": kept["csrf_token"]}
        lead.headers = lead.headers | {"Accept": "application/json"}
        assert lead.press("/account/passkeys/options", **wanted).status_code == 403
        lead.headers = lead.headers | {"Accept": "text/html"}
        removed = "/account/passkeys/remove?lang=es"
        assert lead.press(removed, switch_language="es", **wanted).status_code == 403
        assert len(scenario.mails(crawl.LEAD)) == before + 1
        last = lead.press(path, **kept)
        assert lead.press(link_to(scenario.mails(crawl.LEAD)[-1], "sign-in")).location.startswith(
            PROVEN
        )
        [proven] = re.findall('data-proven="(.*?)"', lead.open(PROVEN).text)
        assert proven.startswith(f"{path}#")
        assert f'data-waits-for="{proven}"' in last.text
        assert f'data-waits-for="{proven}"' not in asked.text, "a tab of before stays as it is"
        assert lead.press(path, **kept).status_code == 303


def test_links_are_emailed_no_more_often_than_for_a_sign_in(later, pages, scenario):
    path, typed = pages["people.invite"], FORMS["people.invite"]
    before, sent = len(scenario.relay.to(crawl.LEAD)), fill_in(later, path, typed)
    for _ in range(SIGN_IN_KNOWN_BROWSER_RATE.burst + 1):
        assert "Now check your inbox" in later.press(path, **sent).text
    assert len(scenario.mails(crawl.LEAD)) == before + SIGN_IN_KNOWN_BROWSER_RATE.burst
    scenario.execute(update(Limit).values(used_until=(now() + timedelta(hours=1)).timestamp()))
    answer = later.press(path, **sent)
    assert "You’ve requested many links." in answer.text
    assert "it goes on by itself" not in answer.text
    assert form_of(answer.text, path)["email"] == typed["email"]


def form_of(page: str, path: str) -> dict[str, str]:
    start = page.index('<form id="main-form"')
    form = Form(page[start : page.index("</form>", start)])
    assert form.action == path
    return form.fields


def test_a_sign_in_lasts_a_quarter_of_an_hour(lead, pages, scenario):
    path, typed = pages["office.settings"], FORMS["office.settings"]
    with time_machine.travel(now() + FRESH_PROOF_AGE - timedelta(minutes=1)):
        assert lead.send(path, **typed).status_code == 303
        scenario.worker.drain()  # the office hears of changed settings
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False) as clock:
        assert lead.send(path, **typed).status_code == 403
        lead.press(ask(lead, scenario))
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


def test_signing_in_again_is_no_lookup_that_others_can_use_up(later, scenario):
    with scenario.services.writing.begin() as session:
        session.add(WorkerLimit(key=jobs.DAY, used_until=(now() + timedelta(days=1)).timestamp()))
    assert later.press(ask(later, scenario)).status_code == 303


def test_signing_in_as_another_person_keeps_no_form_or_page_of_the_previous_one(
    app, scenario, later, pages
):
    """Neither a form of theirs nor the page that they came from."""
    sent = fill_in(later, pages["office.settings"], FORMS["office.settings"])
    assert later.press(pages["office.settings"], **sent).status_code == 403
    sign_in(app, scenario.keyring, "asian", "other@dpsk12.org")
    later.send("/sign-in", email="other@dpsk12.org")
    link = link_to(scenario.mails("other@dpsk12.org")[-1], "sign-in")
    assert later.press(link).location.startswith("/lead/")
    assert later.press("/sign-out", csrf_token=sent["csrf_token"]).status_code == 400


def test_a_person_who_lost_every_right_meanwhile_gets_no_link(later, scenario):
    before = len(scenario.relay.to(crawl.LEAD))
    later.act("/account/passkeys/remove", passkey="x")
    scenario.execute(delete(Right))
    assert len(scenario.mails(crawl.LEAD)) == before


def test_another_language_shows_the_form_and_does_nothing(later, pages, scenario, app):
    path, typed = pages["people.invite"], FORMS["people.invite"]
    sent = fill_in(later, path, typed)
    before = kept_of(scenario.services)
    shown = later.press(f"{path}?lang=es", **sent, switch_language="es")
    assert shown.status_code == 200
    assert Form(shown.text).fields["email"] == typed["email"]
    for endpoint in sorted(MARKED - FORMS.keys()):
        kept = {"csrf_token": sent["csrf_token"], "role": "office", "switch_language": "es"}
        later.press(f"{path_for(app, endpoint, pages)}?lang=es", **kept)
    assert kept_of(scenario.services) == before
