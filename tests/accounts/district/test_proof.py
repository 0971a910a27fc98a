"""An account of the district signs in again there, and by no emailed link."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from sqlalchemy import update

from belong_mail.accounts.models import BrowserSession
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.db import now
from tests.accounts.district import trips
from tests.accounts.district.conftest import LEAD

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


OPTIONS = "/account/passkeys/options"


@pytest.fixture
def linked(linked, scenario):
    """The same, a quarter of an hour after they signed in."""
    scenario.execute(update(BrowserSession).values(proven_at=now() - FRESH_PROOF_AGE))
    assert linked.act(OPTIONS).status_code == 403
    return linked


def asked_at(left) -> dict[str, list[str]]:
    """Return what the page that leaves to the provider asks of it."""
    return parse_qs(urlsplit(left.headers["Refresh"].partition("url=")[2]).query)


def test_the_provider_is_to_ask_although_it_knows_the_browser(linked):
    left = trips.begin(linked)
    asked = asked_at(left)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert trips.finish(linked, trips.at_provider(left)).location == "/account/proof"
    assert "Thank you, you’re confirmed" in linked.open("/account/proof").text
    assert linked.act(OPTIONS).status_code != 403


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"auth_time": None}},
        {"moments": {"auth_time": -900}},
        {"moments": {"auth_time": 3600}},
        {"claims": {"auth_time": True}},
        {"claims": {"auth_time": "now"}},
        {"alg": "none"},
    ],
    ids=str,
)
def test_a_sign_in_of_before_proves_nothing(lie, linked, provider):
    """A provider that remembers who it is, and does not ask, is the browser that was left alone."""
    provider.set(**lie)
    assert trips.sign_in(linked).status_code == 403
    assert linked.act(OPTIONS).status_code == 403


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({}, 200),
        ({"moments": {"auth_time": -900}}, 403),
        ({"claims": {"auth_time": True}}, 403),
        ({"claims": {"auth_time": None}}, 200),
    ],
    ids=str,
)
def test_a_sign_in_proves_nothing_if_the_provider_says_that_it_did_not_ask(
    said, answer, linked, provider
):
    """A provider that does not say when it asked is believed, or nobody could prove anything."""
    provider.set(**said)
    linked.act("/sign-out")
    left = trips.begin(linked)
    assert "prompt" not in asked_at(left)
    assert asked_at(left)["max_age"] != ["0"]
    assert trips.finish(linked, trips.at_provider(left)).status_code == 303
    assert linked.act(OPTIONS).status_code == answer


def test_a_leader_who_signs_in_by_the_district_is_emailed_no_link_as_a_proof(linked, scenario):
    before, asked = len(scenario.relay.to(LEAD)), linked.act(OPTIONS).text
    assert "Sign in to DPS again" in asked
    assert 'target="_blank"' in asked, "the page with what was typed stays open"
    assert len(scenario.mails(LEAD)) == before


def test_linking_the_districts_sign_in_wants_a_choice_and_a_proof_itself(lead, provider):
    assert asked_at(trips.begin_link(lead))["prompt"] == ["select_account"]
    with time_machine.travel(now() + timedelta(minutes=16)):
        asked = trips.begin_link(lead)
    assert asked.status_code == 403
    assert "Open the link in our email" in asked.text
