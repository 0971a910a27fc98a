"""A colleague of the office switches somebody back to emailed links."""

from flask import Flask
from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.accounts.jobs import LetIn
from belong_mail.accounts.models import Account, Identity
from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor
from tests.clients import sign_in
from tests.district.conftest import LEAD
from tests.servers.smtp import Server

OFFICE = "office@dpsk12.org"
BUTTON = "Lost passkey or account: let them sign in by email"


def account_of(services: Services, keyring: Keyring, address: str) -> Account:
    with services.reading.begin() as session:
        found = invitations.find_account(session, keyring.index, address)
        assert found is not None
        return found


def is_linked(services: Services) -> bool:
    with services.reading.begin() as session:
        return session.scalar(select(Identity.id)) is not None


def test_the_office_switches_somebody_back_and_those_concerned_hear_of_it(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server,
    linked: Visitor,
) -> None:  # fmt: skip
    with services.writing.begin() as session:
        invitations.invite_office(session, keyring.opener, keyring.index, OFFICE)
    office = sign_in(app, keyring, "lgbtq", OFFICE)
    page = f"/office/leads/{account_of(services, keyring, LEAD).public_id}"
    assert BUTTON in office.open(page).text
    token = Form(office.open(page).text).fields["csrf_token"]
    assert office.press(f"{page}/let_in", csrf_token=token).status_code == 303
    worker.drain()
    assert not is_linked(services)
    assert BUTTON not in office.open(page).text
    assert linked.open("/lead/").status_code == 302
    assert relay.to(LEAD)[-1]["Subject"] == "A sign-in was switched back to emailed links"
    with services.reading.begin() as session:
        of_kind = AuditEntry.kind == Kind.LET_IN
        [entry] = session.scalars(select(AuditEntry).where(of_kind))
        assert entry.actor == account_of(services, keyring, OFFICE).public_id


def test_the_worker_unlinks_on_the_word_of_a_proven_colleague_alone(
    services: Services, keyring: Keyring, worker: Worker, linked: Visitor
) -> None:
    """Neither its owner, nor whoever wrote into a row that they work for the office."""
    assert linked
    lead = account_of(services, keyring, LEAD)
    with services.writing.begin() as session:
        invitations.invite_office(session, keyring.opener, keyring.index, OFFICE)
        forged = invitations.find_account(session, keyring.index, OFFICE)
        assert forged is not None
        forged.wrapped_office = None
        for by in (lead.public_id, forged.public_id, "nobody"):
            LetIn(by, lead.public_id).ask(session, services.sealer)
    worker.drain()
    assert is_linked(services)
