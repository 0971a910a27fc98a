"""Only an honest provider's answer to this browser's own question signs anybody in."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine

from belong_mail.accounts import identity_provider as oidc
from belong_mail.accounts.identity_views import EXTENSION
from belong_mail.core.db import now
from tests.accounts.district import trips
from tests.browser_client import Form, Visitor
from tests.servers.identity_provider import CLIENT_ID
from tests.waiting import SECONDS, wait_until

TRIP = oidc.AuthorizationRequest("s" * 43, "n" * 43, "v" * 43)


def is_out(browser) -> bool:
    return browser.open("/lead/").status_code == 302


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"iss": "https://login.example.org"}},
        {"claims": {"iss": None}},
        {"claims": {"aud": "another client"}},
        {"claims": {"aud": [CLIENT_ID, "another client"], "azp": CLIENT_ID}},
        {"claims": {"aud": None}},
        {"claims": {"azp": "another client"}},
        {"claims": {"nonce": "of another browser"}},
        {"claims": {"nonce": None}},
        {"moments": {"exp": -3600}},
        {"claims": {"exp": None}},
        {"claims": {"exp": "tomorrow"}},
        {"moments": {"iat": 3600}},
        {"moments": {"iat": -700}},
        {"claims": {"iat": None}},
        {"claims": {"sub": None}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": ["person-1"]}},
        {"alg": "none"},
        {"alg": "HS256"},
        {"kid": "of nobody"},
        {"is_stranger": True},
        {"payload": "[" * 10_000},
        {"status": {"/token": 400}},
        {"status": {"/token": 302}, "location": "https://login.example.org/token"},
    ],
    ids=lambda lie: str(lie)[:60],
)
def test_an_invalid_id_token_or_token_answer_is_refused(lie, provider):
    provider.set(**lie)
    with pytest.raises(oidc.ProofRefused):
        subject_by(fresh(provider))


def test_the_clients_secret_is_shown_as_the_provider_reads_it(provider):
    methods = ["private_key_jwt", "client_secret_post", "client_secret_basic"]
    provider.set(metadata={"token_endpoint_auth_methods_supported": methods})
    assert subject_by(fresh(provider)) == "person-1"
    with pytest.raises(oidc.ProofRefused):
        subject_by(fresh(provider, client_secret="a wrong one"))


def test_an_invalid_id_token_or_provider_answer_signs_nobody_in(linked, browser, provider):
    for lie in (
        {"claims": {"nonce": "of another browser"}},
        {"extra": {"iss": "https://login.example.org"}},
        {"extra": {"error": "access_denied"}},
    ):
        provider.reset()
        provider.set(redirect_uri=f"http://localhost:5000{trips.BACK}", **lie)
        back = trips.at_provider(trips.begin(browser))
        page = browser.open(back)
        if page.status_code == 200:
            form = Form(page.text)
            page = browser.press(form.action, **form.fields)
        assert page.status_code == 403, lie
        assert "We couldn’t sign you in" in page.text
        assert is_out(browser)


@pytest.mark.parametrize(
    "trouble",
    [{"status": {"/token": 503}}, {"status": {"/token": 500}}, {"drip": 0.1}, {"is_silent": True}],
    ids=str,
)
def test_a_provider_in_trouble_signs_nobody_in_and_says_so_soon(
    trouble, linked, app, browser, provider
):
    back = trips.at_provider(trips.begin(browser))
    provider.set(**trouble)
    app.extensions[EXTENSION].call_seconds = 0.5
    answer = trips.finish(browser, back)
    assert answer.status_code == 503
    assert "isn’t answering" in answer.text
    assert is_out(browser)


def fresh(provider, **changed) -> oidc.IdentityProvider:
    settings = provider.settings()
    known = oidc.IdentityProvider(
        provider.issuer,
        settings["BELONG_OIDC_CLIENT_ID"],
        settings["BELONG_OIDC_CLIENT_SECRET"],
        f"http://localhost:5000{trips.BACK}",
        None,
        call_seconds=SECONDS,
    )
    return replace(known, **changed)


@pytest.mark.parametrize(
    "lie",
    [
        {"metadata": {"issuer": "https://login.example.org"}},
        {"metadata": {"authorization_endpoint": "javascript:alert(1)"}},
        {"metadata": {"authorization_endpoint": "https://login.example.org/a\r\nSet-Cookie: x"}},
        {"metadata": {"token_endpoint": "file:///etc/passwd"}},
        {"metadata": {"token_endpoint": None}},
        {"metadata": {"jwks_uri": "https://user@login.example.org/keys"}},
        {"metadata": {"filling": "x" * oidc.MAX_ANSWER}},
        {"status": {oidc.WELL_KNOWN: 404}},
        {"status": {oidc.WELL_KNOWN: 302}, "location": "https://login.example.org/"},
        {"drip": 0.05},
    ],
    ids=lambda lie: str(lie)[:60],
)
def test_nobody_is_redirected_if_the_providers_metadata_is_wrong_or_missing(lie, provider):
    provider.set(**lie)
    with pytest.raises(oidc.ProviderUnavailable):
        fresh(provider, call_seconds=1.0).authorization_url(TRIP)


def test_a_provider_that_is_reached_by_tls_is_never_called_by_plain_http():
    assert oidc._is_ours_to_call("https://login.example.org", "https://other.example.org/keys")
    assert not oidc._is_ours_to_call("https://login.example.org", "http://login.example.org/keys")


def test_a_provider_that_is_away_leaves_the_sign_in_page_as_it_is(app, browser):
    app.extensions[EXTENSION].issuer = "http://127.0.0.1:9"
    assert trips.begin(browser).status_code == 503
    assert browser.open("/sign-in").status_code == 200


def test_a_new_key_is_fetched_when_a_token_names_it_and_an_unknown_one_not_again_and_again(
    linked, app, browser, provider
):
    provider.set(rotate=True)
    assert trips.sign_in(browser).status_code == 403
    client = app.extensions[EXTENSION]
    asked = provider.set().count("/keys")
    assert trips.sign_in(browser).status_code == 403
    assert provider.set().count("/keys") == asked
    client._keys_at -= oidc.KEYS_GAP_SECONDS + 1
    assert trips.sign_in(browser).status_code == 303
    assert provider.set().count("/keys") == asked + 1


def test_a_key_that_the_provider_lists_no_more_is_forgotten_within_the_hour(
    linked, app, browser, provider
):
    client = app.extensions[EXTENSION]
    old = client._keys
    provider.set(rotate=True, is_stolen=True)
    client._keys_at -= oidc.METADATA_SECONDS + 1
    assert trips.sign_in(browser).status_code == 403, "signed with a key that was taken back"
    provider.set(is_stolen=False)
    assert trips.sign_in(browser).status_code == 303
    assert not set(map(id, old)) & set(map(id, client._keys))


def test_an_answer_to_another_browser_is_nobodys(linked, app, browser):
    """Login CSRF: neither a browser that asked nothing nor one on its own trip takes it."""
    stolen = trips.at_provider(trips.begin(browser))
    idle, busy = Visitor(app.test_client()), Visitor(app.test_client())
    trips.begin(busy)
    form = Form(browser.open(stolen).text)
    for other in (idle, busy):
        assert other.open(stolen).status_code == 403
        assert other.press(trips.BACK, **form.fields).status_code == 403
        assert is_out(other)


def test_an_authorization_request_works_once_even_with_an_old_cookie_and_a_reused_code(
    linked, app, provider
):
    provider.set(is_forgetful=True)
    browser = Visitor(app.test_client())
    back = trips.at_provider(trips.begin(browser))
    kept = browser.client.get_cookie("belong")
    assert trips.finish(browser, back).status_code == 303
    again = Visitor(app.test_client())
    again.client.set_cookie("belong", kept.value)
    assert trips.finish(again, back).status_code == 403
    assert is_out(again)


def test_an_authorization_request_lasts_ten_minutes_at_most(linked, browser):
    back = trips.at_provider(trips.begin(browser))
    with time_machine.travel(now() + timedelta(minutes=11)):
        assert browser.open(back).status_code == 403


def test_an_authorization_request_ends_with_the_session_that_began_it(lead):
    back = trips.at_provider(trips.begin_link(lead))
    assert lead.act("/sign-out").status_code == 303
    assert lead.open(back).status_code == 403


def test_a_leader_whose_session_ended_meanwhile_links_nothing(lead):
    back = trips.at_provider(trips.begin_link(lead))
    with time_machine.travel(now() + timedelta(minutes=9)):
        form = Form(lead.open(back).text)
        with lead.client.session_transaction() as cookie:
            cookie["seen"] = 0
        assert lead.press(form.action, **form.fields).status_code == 403


def test_a_slow_provider_takes_no_more_than_some_of_the_threads(linked, app, provider):
    """Those who come while it is busy are told at once."""
    client = app.extensions[EXTENSION]
    client._metadata_until = 0.0
    provider.set(is_silent=True)
    told = 6 - oidc.CALLS_AT_ONCE
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(trips.begin, Visitor(app.test_client())) for _ in range(6)]
        try:
            wait_until(lambda: sum(each.done() for each in asked) == told, seconds=30)
        finally:
            provider.set(is_silent=False)
    assert [each.result().status_code for each in asked].count(503) == told


def test_a_token_of_another_domain_or_of_none_is_refused(provider):
    client = fresh(provider, required_claim=("hd", "dpsk12.org"))
    for domain in ("dpsk12.org.example.org", None, ["dpsk12.org"], "DPSK12.ORG"):
        provider.set(claims={"hd": domain})
        with pytest.raises(oidc.ProofRefused):
            subject_by(client)
    provider.set(claims={"hd": "dpsk12.org"})
    assert "&hd=dpsk12.org" in client.authorization_url(TRIP), "it offers no other account"
    assert subject_by(client) == "person-1"


def subject_by(client: oidc.IdentityProvider) -> str:
    """Go to the provider and back, without pages of ours."""
    back = trips.answer_to(client.authorization_url(TRIP))
    return client.subject_of(parse_qs(urlsplit(back).query)["code"][0], TRIP)[0]
