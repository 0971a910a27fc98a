"""Linking the district's sign-in, signing in by it, and losing it again."""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account, Identity, Right
from belong_mail.core.audit import Kind
from belong_mail.worker.loop import Worker
from tests.accounts.district import trips
from tests.accounts.district.conftest import LEAD
from tests.accounts.passkeys import PAGE, add, details, sign_in_by
from tests.browser_client import Form, Visitor, link_to, text_of
from tests.clients import sign_in as sign_in_by_link
from tests.clients import sign_in_office
from tests.db_dump import dump_of, trail
from tests.factories import group_named
from tests.markers import on_both
from tests.scenario import drain_in
from tests.servers.authenticator import Authenticator

COLLEAGUE = "colleague@dpsk12.org"


def kinds(scenario) -> list[tuple[str, str | None]]:
    return [(each.kind, each.detail) for each in trail(scenario.services)]


@on_both("journeys")
def test_a_lead_links_once_and_signs_in_by_the_district(linked, browser, scenario):
    assert linked.open("/lead/").status_code == 200
    told = scenario.relay.to(LEAD)[-1]
    assert told["Subject"] == "You now sign in with your DPS account"
    assert "Not you?" in text_of(told)
    assert browser.open("/lead/").status_code == 302
    answer = trips.sign_in(browser)
    assert (answer.status_code, answer.location) == (303, "/lead/")
    assert "The Village" in browser.open("/lead/").text
    assert "since" in browser.open("/account").text
    assert kinds(scenario)[-2:] == [
        (Kind.IDENTITY_LINKED, None),
        (Kind.SIGNED_IN, "district"),
    ]


def test_the_owner_is_told_of_a_linked_sign_in_whatever_marks_the_web_sets(lead, scenario):
    trips.link(lead)
    assert scenario.worker.read_jobs()
    scenario.execute(update(Right).values(accepted_at=None))
    assert scenario.mails(LEAD)[-1]["Subject"] == "You now sign in with your DPS account"


def test_a_district_account_is_emailed_no_sign_in_link_and_the_page_does_not_say_so(
    linked, browser, scenario
):
    before = len(scenario.relay.to(LEAD))
    asked = browser.send("/sign-in", email=LEAD)
    stranger = scenario.visitor.send("/sign-in", email="nobody@dpsk12.org")
    assert (asked.status_code, asked.location) == (stranger.status_code, stranger.location)
    assert len(scenario.mails(LEAD)) == before
    assert linked.open("/lead/").status_code == 200


def test_an_invitation_signs_nobody_in_who_signs_in_by_the_district(linked, browser, scenario):
    with scenario.services.writing.begin() as session:
        assert invitations.ask(
            session, scenario.keyring, group_named(session, "asian"), LEAD, name="Ada"
        )
    accepted = browser.press(link_to(scenario.mails(LEAD)[-1], "invitation"))
    assert accepted.location.startswith("/sign-in?done=accepted")
    assert browser.open("/lead/").status_code == 302


def test_links_that_are_on_their_way_end_with_linking(app, lead, scenario):
    waiting = Visitor(app.test_client())
    waiting.send("/sign-in", email=LEAD)
    link = link_to(scenario.mails(LEAD)[-1], "sign-in")
    trips.link(lead)
    scenario.worker.drain()
    assert waiting.press(link).status_code == 404
    assert lead.open("/lead/").status_code == 200


def test_the_way_there_and_back_changes_nothing_until_the_button_in_any_language(
    linked, browser, scenario
):
    back = trips.at_provider(trips.begin(browser))
    before = dump_of(scenario.services)
    for _ in range(3):
        assert browser.open(back).status_code == 200
    assert dump_of(scenario.services) == before
    assert browser.open("/lead/").status_code == 302
    form = Form(browser.open(back).text)
    turned = browser.press(f"{trips.BACK}?lang=es", **form.fields, switch_language="es")
    assert turned.status_code == 200
    assert 'lang="es"' in turned.text
    again = Form(turned.text)
    assert browser.press(again.action, **again.fields).status_code == 303


def test_every_refusal_reads_the_same_and_says_how_to_begin(linked, app, scenario, provider):
    """A stranger, a lead who leads no more, a wrong proof, an answer to no question."""
    pages = set()

    def refuse(answer) -> None:
        assert answer.status_code == 403
        pages.add(answer.text.partition("<main")[2].partition("</main>")[0])

    def sign_in() -> None:
        browser = Visitor(app.test_client())
        refuse(trips.sign_in(browser))
        assert browser.open("/lead/").status_code == 302

    provider.set(subject="a stranger")
    sign_in()
    assert kinds(scenario)[-1] == (Kind.SIGN_IN_REFUSED, "district-unknown")
    provider.set(subject="person-1", claims={"nonce": "another"})
    sign_in()
    refuse(Visitor(app.test_client()).open(f"{trips.BACK}?code=x&state=y"))
    provider.set(claims={})
    scenario.execute(delete(Right))
    sign_in()
    [page] = pages
    assert "get a sign-in link by email" in page


def test_the_worker_links_nobody_twice_whatever_the_web_asks(app, scenario, lead):
    """Neither a second account of a person nor a second person of one account is linked."""
    other, third = (sign_in_by_link(app, scenario.keyring, slug) for slug in ("lgbtq", "asian"))
    assert trips.link(lead).status_code == trips.link(other).status_code == 303
    scenario.worker.drain()
    assert trips.link(third).status_code == 403
    assert "The Village" not in third.open("/lead/").text, "nor is anyone signed in by it"
    scenario.worker.drain()
    assert len(dump_of(scenario.services)["identities"]) == 1
    assert dump_of(scenario.services)["jobs"] == [], "the second was read, and is no failure"


def test_unlinking_brings_mailed_links_back_and_tells_its_owner(app, scenario, linked, browser):
    account = scenario.do(invitations.find_account, scenario.keyring.index, LEAD)
    assert account is not None
    office = sign_in_office(app, scenario.keyring)
    assert "Lost passkey or account …" in office.open(f"/office/leads/{account.public_id}").text
    said = app.test_cli_runner().invoke(args=["lead", "unlink", LEAD])
    assert said.exit_code == 0, said.output
    scenario.worker.drain()
    subject = "A sign-in was switched back to emailed links"
    assert scenario.relay.to(LEAD)[-1]["Subject"] == subject
    assert linked.open("/lead/").status_code == 302
    assert trips.sign_in(browser).status_code == 403
    before = len(scenario.relay.to(LEAD))
    browser.send("/sign-in", email=LEAD)
    assert len(scenario.mails(LEAD)) == before + 1
    assert (Kind.LET_IN, None) in kinds(scenario)
    again = app.test_cli_runner().invoke(args=["lead", "unlink", LEAD])
    assert (again.exit_code, "no district account" in again.output) == (1, True)


@pytest.mark.parametrize("row", ["another account's", "made up"])
def test_the_worker_removes_what_was_linked_in_the_database(row, scenario, linked):
    """An intruder in the web could else stay in, or lock a lead out of the mailed links."""
    with scenario.services.writing.begin() as session:
        village = group_named(session, "the-village")
        invitations.invite(session, scenario.keyring, village, COLLEAGUE)
        [theirs] = session.scalars(select(Identity))
        victim = session.scalars(select(Account).where(Account.id != theirs.account_id)).one()
        wrapped = theirs.wrapped_subject if row == "another account's" else b"\1" * 80
        session.add(Identity(account_id=victim.id, name=b"attacker", wrapped_subject=wrapped))
    drain_in(scenario.worker, minutes=2)
    assert [each.account_id for each in scenario.query(select(Identity))] == [theirs.account_id]


def test_the_worker_restores_an_identitys_hash_that_somebody_changed(scenario, linked, browser):
    scenario.execute(update(Identity).values(name=b"attacker's"))
    assert trips.sign_in(browser).status_code == 403
    drain_in(scenario.worker, minutes=2)
    assert trips.sign_in(browser).status_code == 303


def test_a_worker_that_knows_another_provider_links_nobody_and_mails_links(scenario, lead):
    """A provider that the worker does not know counts for nothing: nobody is locked out."""
    settings = replace(scenario.services.settings, oidc_issuer="https://login.example.org")
    other = Worker(replace(scenario.services, settings=settings), scenario.keyring)
    trips.link(lead)
    other.drain()
    other.engine.close()
    assert dump_of(scenario.services)["identities"] == []


def test_the_address_name_and_subject_in_a_token_are_neither_stored_nor_logged(
    lead, browser, scenario, provider, caplog
):
    provider.set(claims={"email": "canary.bird@dpsk12.org", "name": "Canary Bird"})
    trips.link(lead)
    scenario.worker.drain()
    assert trips.sign_in(browser).status_code == 303
    kept = str(dump_of(scenario.services)) + caplog.text
    assert "canary" not in kept.lower()
    assert "person-1" not in kept


def test_a_passkey_signs_nobody_in_who_has_switched_to_the_district_nor_is_one_added(
    lead, app, scenario
):
    device = Authenticator()
    assert add(lead, device).status_code == 303
    assert trips.link(lead).status_code == 303
    scenario.worker.drain()
    assert sign_in_by(Visitor(app.test_client()), device).status_code == 403
    assert details(scenario.services, Kind.SIGN_IN_REFUSED) == ["passkey-district"]
    page = lead.open(PAGE).text
    assert "You’ve signed in with your DPS account since" in page
    assert "Add a passkey" not in page
    assert add(lead, Authenticator()).status_code == 422
