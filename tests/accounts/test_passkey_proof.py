"""An account with a passkey signs in again with it, and by no email."""

import pytest
import time_machine

from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.db import now
from tests.accounts.passkeys import LEAD, PAGE, add, sign_in_by
from tests.browser_client import link_to

PROOF = "/account/proof"


@pytest.fixture
def owner(owner):
    """The same, a quarter of an hour after they signed in."""
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        yield owner


def test_a_passkey_proves_who_is_signed_in_and_no_mailbox_does(owner, device, worker, relay):
    asked = owner.act(PAGE, name="My other phone")
    assert asked.status_code == 403
    assert "Use my passkey" in asked.text
    assert "<p>Lost your passkey?" in asked.text, "also where the browser knows passkeys"
    assert "Email me a link" not in asked.text
    before = len(relay.accepted)
    assert owner.act(PAGE, name="My other phone", email_link="1").status_code == 403
    worker.drain()
    assert len(relay.accepted) == before
    assert sign_in_by(owner, device).location == PROOF
    assert owner.act(PAGE, name="Mine").status_code != 403


def test_a_link_that_was_asked_for_before_the_passkey_proves_nothing(lead, device, worker, relay):
    lead.send("/sign-in", email=LEAD)
    worker.drain()
    link = link_to(relay.to(LEAD)[-1], "sign-in")
    add(lead, device)
    assert lead.press(link).status_code == 403
