"""Passkeys: added, used, removed; and what is no answer of one's own passkey signs nobody in."""

import json
import re
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from sqlalchemy import delete, select

from belong_mail.accounts.jobs import TellPasskeyChanged
from belong_mail.accounts.models import Account, Right
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.rate_limits import ALL_FORMS, ALL_FORMS_RATE, Limit
from belong_mail.ops import rooms
from tests.accounts.passkeys import (
    BEGIN,
    LEAD,
    OPTIONS,
    PAGE,
    REMOVE,
    add,
    asked,
    count,
    details,
    finish,
    is_in,
    options_to_add,
    sign_in_by,
    token_of,
)
from tests.browser_client import Visitor, text_of
from tests.clients import sign_in
from tests.markers import on_both
from tests.servers.authenticator import Authenticator, encoded


@on_both("journeys")
def test_a_lead_adds_a_passkey_and_signs_in_with_it(lead, device, phone, scenario):
    """The device says who it is; no address is typed and none is named."""
    assert add(lead, device).location == f"{PAGE}?done=added"
    scenario.worker.drain()
    assert "My phone" in lead.open(PAGE).text
    assert len(options_to_add(lead)["publicKey"]["excludeCredentials"]) == 1, "made here already"
    assert sign_in_by(phone, device).location == "/lead/"
    assert is_in(phone)
    assert "built-in" not in lead.open(f"{PAGE}?done=items").text
    assert details(scenario.services, Kind.PASSKEY_ADDED) == [None]
    assert details(scenario.services, Kind.SIGNED_IN)[-1] == "passkey"
    assert "Last used on" in lead.open(PAGE).text
    told = scenario.relay.to(LEAD)[-1]
    assert told["Subject"] == "You can now sign in with a new passkey"
    assert "with a new passkey" in text_of(told)


def test_a_device_hears_of_no_group_and_of_no_address(lead):
    """It may show the same on a screen for everyone."""
    said = options_to_add(lead)["publicKey"]
    assert said["user"]["name"] == said["user"]["displayName"] == said["rp"]["name"] == "DPS Belong"
    assert said["authenticatorSelection"]["residentKey"] == "required"
    assert said["authenticatorSelection"]["userVerification"] == "required"
    assert said.get("attestation", "none") == "none"
    assert "village" not in json.dumps(said).lower()
    assert "dpsk12" not in json.dumps(said)


def test_every_browser_gets_the_same_passkey_options(owner, phone, app):
    """Nothing names a passkey, and so nobody learns who has one."""
    one, two = asked(phone)["publicKey"], asked(Visitor(app.test_client()))["publicKey"]
    assert one.pop("challenge") != two.pop("challenge")
    assert one == two == {"rpId": "localhost", "userVerification": "required"}
    promised = "an emailed link doesn’t sign you in"
    assert promised in phone.open("/sign-in").text
    assert promised in finish(phone, "").text


def test_a_removed_passkey_signs_nobody_in(owner, device, phone, scenario):
    assert remove_newest(owner).location == f"{PAGE}?done=removed"
    assert count(scenario.services) == 0
    assert sign_in_by(phone, device).status_code == 403
    assert details(scenario.services, Kind.PASSKEY_REMOVED) == [None]
    assert details(scenario.services, Kind.SIGN_IN_REFUSED) == ["passkey-unknown"]
    assert scenario.mails(LEAD)[-1]["Subject"] == "One of your passkeys was removed"


def test_adding_or_removing_a_passkey_signs_its_owner_out_everywhere_else(owner, device, app):
    for change in (partial(add, owner, Authenticator()), partial(remove_newest, owner)):
        other = Visitor(app.test_client())
        assert sign_in_by(other, device).status_code == 303
        given = change()
        assert given.status_code == 303
        assert "signed out everywhere else" in owner.open(given.location).text
        assert not is_in(other)
        assert is_in(owner)


def remove_newest(owner):
    return owner.act(REMOVE, passkey=passkeys_on(owner)[-1])


def passkeys_on(owner) -> list[str]:
    return re.findall(r'name="passkey" value="([^"]+)"', owner.open(PAGE).text)


LIES: dict[str, dict[str, object]] = {
    "foreign_origin": {"origin": "http://localhost.example.org:5000"},
    "other_port": {"origin": "http://localhost:5001"},
    "other_party": {"party": "example.org"},
    "not_verified": {"is_verified": False},
    "not_present": {"is_present": False},
    "in_a_frame": {"is_framed": True},
    "counts_back": {"counter": 0},
    "other_key": {"key": Authenticator().key},
    "other_handle": {"handle": b"somebody else"},
}


def test_an_answer_that_is_not_honest_signs_nobody_in(owner, device, phone, app):
    for lie, told in LIES.items():
        assert sign_in_by(Visitor(app.test_client()), device).status_code == 303, lie
        honest = {**vars(device)}
        vars(device).update(told)
        given = sign_in_by(phone, device)
        assert given.status_code == 403, lie
        assert "We couldn’t sign you in" in given.text
        assert not is_in(phone)
        counter = device.counter
        vars(device).update(honest)
        device.counter = max(counter, device.counter)
    assert sign_in_by(phone, device).status_code == 303


def test_a_passkey_that_was_not_made_here_is_not_added(lead, device, scenario):
    for lie in [*LIES.values()][:6]:
        liar = Authenticator()
        vars(liar).update(lie)
        given = add(lead, liar)
        assert given.status_code == 422, lie
        assert "That didn’t work" in given.text
    for octets in (b"", b"\xa3\x63fmt", b"\xa1\x19\x01", b"\x81" * 9000):
        answer = json.loads(device.create(options_to_add(lead)))
        answer["response"]["attestationObject"] = encoded(octets)
        assert add(lead, device, answer=json.dumps(answer)).status_code == 422, octets
    assert count(scenario.services) == 0


PROOF = "/account/proof"
AUTHENTICATOR = bytes(32) + b"\x85" + bytes(4)


def test_a_bent_or_late_answer_signs_nobody_in(owner, device, phone):
    for changed in (
        {"signature": encoded(b"not signed")},
        {"authenticatorData": encoded(b"short")},
        {"clientDataJSON": encoded(b"{}")},
        {"clientDataJSON": encoded(b"not JSON")},
        {"userHandle": ""},
        {"authenticatorData": encoded(AUTHENTICATOR)},
        {"authenticatorData": encoded(AUTHENTICATOR + b"\xa1\x19\x01")},
        {"authenticatorData": encoded(AUTHENTICATOR + b"\x81" * 9000)},
    ):
        answer = device.get(asked(phone), **changed)
        assert finish(phone, answer).status_code == 403, changed
    for answer in (
        "", "{", "[]", "{}", "null", '{"rawId": 7}', "x" * 20_000, "[" * 16_000,
    ):  # fmt: skip
        asked(phone)
        assert finish(phone, answer).status_code == 403, answer[:20]
    another_kind = device.get(asked(phone), "webauthn.create")
    assert finish(phone, another_kind).status_code == 403
    answer = device.get(asked(phone))
    with time_machine.travel(now() + timedelta(minutes=5, seconds=2)):
        assert finish(phone, answer).status_code == 403
    assert not is_in(phone)
    assert sign_in_by(phone, device).status_code == 303


def test_a_known_browser_uses_a_passkey_while_strangers_flood_the_forms(
    owner, device, phone, scenario
):
    for browser in (owner, phone):
        browser.client.environ_base["REMOTE_ADDR"] = "203.0.113.7"  # no network that is trusted
    token = token_of(phone)
    asked(phone)
    until = now().timestamp() + 10 * ALL_FORMS_RATE.per.total_seconds()
    with scenario.services.writing.begin() as session:
        session.merge(Limit(key=ALL_FORMS, used_until=until))
    assert phone.press(BEGIN, csrf_token=token).status_code == 503
    assert finish(phone, "").status_code == 503
    assert add(owner, Authenticator()).status_code == 303
    assert sign_in_by(owner, device).status_code == 303


def test_an_answer_serves_once_even_with_an_older_cookie(owner, device, phone, app):
    """A thief who copied cookie and answer before it was sent is too late."""
    device.step = 0  # it does not count, so that nothing else refuses
    device.counter = 0
    answer = device.get(asked(phone))
    cookie = phone.client.get_cookie("belong")
    thief = Visitor(app.test_client())
    thief.client.set_cookie("belong", cookie.value)
    bent = json.loads(answer)
    bent["response"]["signature"] = encoded(b"bent")
    assert finish(phone, json.dumps(bent)).status_code == 403, "a bad answer uses it up too"
    assert finish(thief, answer).status_code == 403
    assert not is_in(thief)


def test_a_challenge_of_another_browser_is_not_answered_here(owner, device, phone, app):
    answer = device.get(asked(Visitor(app.test_client())))
    asked(phone)
    assert finish(phone, answer).status_code == 403
    assert finish(Visitor(app.test_client()), answer).status_code == 403


def test_a_challenge_to_add_a_passkey_signs_nobody_in_and_one_to_sign_in_adds_none(owner, device):
    """And what was made is no answer to a sign-in: each challenge is for one purpose."""
    answer = device.get(options_to_add(owner))
    assert finish(owner, answer).status_code == 403
    asking = asked(owner)
    answer = Authenticator().create({"publicKey": {**asking["publicKey"], "user": {"id": ""}}})
    given = owner.act(PAGE, name="My phone", answer=answer)
    assert given.status_code == 422


@pytest.mark.parametrize("what", ["removed", "gone"])
def test_a_passkey_without_a_right_or_an_account_signs_nobody_in(
    owner, what, device, phone, scenario
):
    end(what, scenario)
    given = sign_in_by(phone, device)
    assert given.status_code == 403
    assert "We couldn’t sign you in" in given.text
    assert not is_in(phone)
    assert count(scenario.services) == (what != "gone"), "a passkey goes with its account"


@pytest.mark.parametrize("what", ["invited", "removed"])
def test_passkeys_of_an_account_without_rights_are_deleted_unless_it_is_invited(
    owner, what, scenario
):
    """Not of someone who is invited again."""
    with scenario.services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        if what == "invited":
            session.add(Right(person=account))
    end("removed", scenario)
    scenario.do(rooms.purge_all)
    assert count(scenario.services) == (what != "removed")


def end(what: str, scenario) -> None:
    with scenario.services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        if what == "gone":
            session.delete(account)
        else:
            session.execute(delete(Right).where(Right.group_id.is_not(None)))


def test_a_passkey_counter_that_goes_back_is_recorded_and_one_that_stays_at_0_signs_in(
    owner, device, app, scenario
):
    """Somebody may have copied the first: the office sees whose."""
    still = Authenticator()
    still.step = 0
    add(owner, still)
    for each in (still, still, device):
        assert sign_in_by(Visitor(app.test_client()), each).status_code == 303
    device.counter -= 1
    assert sign_in_by(Visitor(app.test_client()), device).status_code == 403
    assert details(scenario.services, Kind.SIGN_IN_REFUSED) == ["passkey-copied"]


def test_nobody_removes_or_adds_the_passkey_of_somebody_else(owner, device, app, scenario):
    other = sign_in(app, scenario.keyring, "asian")
    given = other.act(REMOVE, passkey=passkeys_on(owner)[0])
    assert given.status_code == 404
    for phone in (owner, other):
        assert add(phone, device).status_code == 422, "one account has it, once"
    assert count(scenario.services) == 1


def test_a_passkey_wants_a_fresh_proof_a_name_and_room(lead, scenario):
    assert add(lead, Authenticator(), name="").status_code == 422
    for _ in range(10):
        assert add(lead, Authenticator()).status_code == 303
    assert add(lead, Authenticator()).status_code == 422
    assert count(scenario.services) == 10
    with time_machine.travel(now() + FRESH_PROOF_AGE):
        for path in (OPTIONS, PAGE, REMOVE):
            given = lead.act(path, name="My phone")
            assert given.status_code == 403
            assert "Please confirm that it’s you" in given.text


def test_a_passkey_owner_is_emailed_only_known_changes_and_at_most_20_a_day(owner, scenario):
    """A request that a broken web makes up mails no one else, and no more than some a day."""
    with scenario.services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        for what in ("stolen", *["added"] * 30):
            TellPasskeyChanged(account.public_id, what).ask(session, scenario.services.sealer)
    before = len(scenario.relay.to(LEAD))
    assert len(scenario.mails(LEAD)) - before == 20 - 1


def test_a_passkey_proves_who_is_signed_in_and_no_mailbox_does(owner, device, scenario):
    before = len(scenario.relay.accepted)
    with time_machine.travel(now() + FRESH_PROOF_AGE, tick=False):
        asked = owner.act(PAGE, name="My other phone")
        assert asked.status_code == 403
        assert "Use my passkey" in asked.text
        assert '<p class="hint">Lost your passkey?' in asked.text, "also where browsers know them"
        assert ">Continue</button>" in asked.text, "for who signs in again in another tab"
        scenario.worker.drain()
        assert len(scenario.relay.accepted) == before
        assert sign_in_by(owner, device).location == PROOF
        assert "Next time without email" not in owner.open(PROOF).text
        assert owner.act(PAGE, name="Mine").status_code != 403
