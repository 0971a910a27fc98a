"""An account of the district proves its identity there, and by no emailed link."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine

from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from tests.accounts.district import trips
from tests.accounts.district.conftest import LEAD
from tests.accounts.passkeys import details
from tests.clients import sign_in

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_the_provider_is_to_ask_although_it_knows_the_browser(linked, services):
    left = trips.begin_proof(linked)
    asked = parse_qs(urlsplit(left.headers["Refresh"].partition("url=")[2]).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    back = trips.at_provider(left)
    assert "Yes, it’s me" in linked.open(back).text
    assert details(services, Kind.PROVEN) == []
    assert trips.finish(linked, back).location == "/account/proof"
    assert details(services, Kind.PROVEN) == ["district"]
    assert "Thank you, you’re confirmed" in linked.open("/account/proof").text


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"auth_time": None}},
        {"moments": {"auth_time": -900}},
        {"moments": {"auth_time": 3600}},
        {"claims": {"auth_time": True}},
        {"claims": {"auth_time": "now"}},
        {"subject": "person-2"},
        {"alg": "none"},
    ],
    ids=str,
)
def test_a_sign_in_of_before_or_of_somebody_else_proves_nothing(lie, linked, services, provider):
    """A provider that remembers who it is, and does not ask, is the browser that was left alone."""
    provider.set(**lie)
    refused = trips.prove(linked)
    assert refused.status_code == 403
    assert "We couldn’t confirm that it’s you" in refused.text
    assert details(services, Kind.PROVEN) == []


def test_a_colleague_whom_the_district_also_knows_proves_nothing_for_who_is_signed_in(
    app, linked, services, keyring, worker, provider
):
    colleague = sign_in(app, keyring, "asian")
    provider.set(subject="person-2")
    assert trips.link(colleague).status_code == 303
    worker.drain()
    refused = trips.prove(linked)
    assert refused.status_code == 403
    assert "We couldn’t confirm that it’s you" in refused.text
    assert details(services, Kind.PROVEN) == []
    assert trips.prove(colleague).location == "/account/proof"
    assert details(services, Kind.PROVEN) == ["district"]


def test_a_trip_to_sign_in_proves_nothing_again(linked, services):
    assert trips.sign_in(linked).location == "/lead/"
    assert details(services, Kind.PROVEN) == []


def test_no_link_is_emailed_to_who_signs_in_by_the_district(linked, worker, relay):
    with time_machine.travel(now() + timedelta(minutes=16)):
        assert "Sign in to DPS again" in linked.open("/account/proof").text
        before = len(relay.to(LEAD))
        assert linked.act("/account/proof").status_code == 303
        worker.drain()
        assert len(relay.to(LEAD)) == before


def test_linking_the_districts_sign_in_wants_a_proof_itself(lead, provider):
    with time_machine.travel(now() + timedelta(minutes=16)):
        asked = trips.begin_link(lead)
    assert asked.status_code == 403
    assert "Email me a link" in asked.text
