"""An account with a passkey proves its identity with it, and by no email."""

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.accounts.jobs import SendProofLink
from belong_mail.accounts.models import Account, BrowserSession
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from tests.accounts.passkeys import ADD, LEAD, add, asked, details
from tests.browser_client import link_to
from tests.clients import sign_in
from tests.servers.authenticator import Authenticator

PROOF, BEGIN, FINISH = "/account/proof", "/account/proof/passkey", "/account/proof/passkey/finish"


@pytest.fixture
def owner(owner):
    """The same, a quarter of an hour after they signed in."""
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        yield owner


def answer_of(lead, device: Authenticator) -> str:
    return device.get(lead.act(BEGIN).json or {})


def is_proved(lead) -> bool:
    return lead.act(ADD, name="Mine").status_code != 403


def test_a_passkey_proves_who_is_signed_in(owner, device, services):
    asked = owner.act(ADD, name="My other phone")
    assert asked.status_code == 403
    assert "Use my passkey" in asked.text
    assert "<p>Lost your passkey?" in asked.text, "also where the browser knows passkeys"
    assert "Email me a link" not in asked.text
    assert not is_proved(owner)
    given = owner.act(FINISH, answer=answer_of(owner, device))
    assert given.location == PROOF
    assert is_proved(owner)
    assert details(services, Kind.PROVEN) == ["passkey"]


def test_a_mailbox_proves_nothing_of_who_has_a_passkey(owner, worker, relay):
    before = len(relay.to(LEAD))
    assert "Use my passkey" in owner.open(PROOF).text
    assert owner.act(PROOF).status_code == 200
    worker.drain()
    assert relay.to(LEAD)[before:] == []
    assert not is_proved(owner)


def test_a_request_that_the_web_makes_up_mails_no_link_to_who_has_a_passkey(
    owner, services, worker, relay
):
    worker.drain()
    before = len(relay.accepted)
    with services.writing.begin() as session:
        account, browser_session = session.execute(
            select(Account, BrowserSession).join(BrowserSession)
        ).one()
        asked = SendProofLink(account.public_id, browser_session.public_id, "en")
        asked.ask(session, services.sealer)
    worker.drain()
    assert len(relay.accepted) == before
    assert owner.open("/lead/").status_code == 200


def test_a_link_that_was_asked_for_before_the_passkey_proves_nothing(lead, device, worker, relay):
    lead.act(PROOF)
    worker.drain()
    link = link_to(relay.to(LEAD)[-1], "confirm-identity")
    add(lead, device)
    assert lead.press(link).status_code == 403


def test_the_passkey_of_somebody_else_proves_nothing(owner, device, app, keyring):
    theirs, other = Authenticator(), sign_in(app, keyring, "asian")
    add(other, theirs)
    given = owner.act(FINISH, answer=answer_of(owner, theirs))
    assert given.status_code == 403
    assert "We couldn’t confirm that it’s you" in given.text
    assert not is_proved(owner)
    given = owner.act(FINISH, answer=answer_of(owner, device))
    assert given.status_code == 303


def test_an_answer_to_another_question_proves_nothing(owner, device):
    """One that signs in, one of a session that ended, and one that was used."""
    answer = device.get(asked(owner))
    assert owner.act(FINISH, answer=answer).status_code == 403
    assert owner.act(FINISH, answer=answer).status_code == 403
    assert not is_proved(owner)


def test_a_forged_press_of_another_page_proves_nothing(owner, device):
    """Nor when its challenge is used up."""
    answer = answer_of(owner, device)
    for _ in range(2):
        assert owner.press(FINISH, answer=answer).status_code == 400
    assert not is_proved(owner)
