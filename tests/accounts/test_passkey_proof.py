"""An account with a passkey proves its identity with it, and by no email."""

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.accounts.jobs import SendProofLink
from belong_mail.accounts.models import Account, BrowserSession
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from tests.accounts.passkeys import LEAD, PAGE, add, asked, details
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
    return lead.act(PAGE, name="Mine").status_code != 403


def test_a_passkey_proves_who_is_signed_in(owner, device, services):
    asked = owner.act(PAGE, name="My other phone")
    assert asked.status_code == 403
    assert "Use my passkey" in asked.text
    assert "<p>Lost your passkey?" in asked.text, "also where the browser knows passkeys"
    assert "Email me a link" not in asked.text
    assert not is_proved(owner)
    given = owner.act(FINISH, answer=answer_of(owner, device))
    assert given.location == PROOF
    assert is_proved(owner)
    assert details(services, Kind.PROVEN) == ["passkey"]


def test_a_mailbox_proves_nothing_of_who_has_a_passkey(owner, services, worker, relay):
    """Neither by the button nor by a request that the web makes up is a link emailed."""
    before = len(relay.accepted)
    assert "Use my passkey" in owner.open(PROOF).text
    assert owner.act(PROOF).status_code == 200
    with services.writing.begin() as session:
        account, browser_session = session.execute(
            select(Account, BrowserSession).join(BrowserSession)
        ).one()
        asked = SendProofLink(account.public_id, browser_session.public_id, "en")
        asked.ask(session, services.sealer)
    worker.drain()
    assert len(relay.accepted) == before
    assert not is_proved(owner)
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


def test_an_answer_to_another_question_or_from_another_page_proves_nothing(owner, device):
    """One that signs in, twice; and one that is pressed without a page's token."""
    answer = device.get(asked(owner))
    for _ in range(2):
        assert owner.act(FINISH, answer=answer).status_code == 403
    answer = answer_of(owner, device)
    for _ in range(2):
        assert owner.press(FINISH, answer=answer).status_code == 400
    assert not is_proved(owner)
