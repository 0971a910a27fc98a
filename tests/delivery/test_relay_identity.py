"""How a relay and we show who we are: its certificate, and a token of ours that ends."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from config import Config, InvalidSettings
from tests.delivery.factories import books, queue
from tests.markers import on_sqlite
from tests.processes import run
from tests.servers.smtp import Server
from tests.servers.tokens import CLIENT_SECRET, REFRESH_TOKEN, TokenEndpoint

pytestmark = on_sqlite
USER = "belong@example.org"
MEMBERS = 12
ALL_ACCEPTED = {"recipients": MEMBERS, "accepted": MEMBERS}
ALL_QUEUED = {"recipients": MEMBERS, "queued": MEMBERS}
Settings = dict[str, str]


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint(USER) as endpoint:
        yield endpoint


@pytest.fixture
def token_relay(authority, endpoint) -> Iterator[Server]:
    context = authority.server()
    with Server(tls="starttls", context=context, bearers=endpoint.tokens) as server:
        yield server


Send = Callable[[Settings], dict[str, int]]


@pytest.fixture
def send(services, keyring) -> Send:
    """Queue an issue, let a worker with these settings send it, and return its books."""

    def send(settings: Settings) -> dict[str, int]:
        issue = queue(services, MEMBERS)
        rest = (services.tokens, services.sealer, services.links, services.renderer)
        own = Services(Config.read(settings), services.writing, services.reading, *rest)
        worker = Worker(own, keyring)
        worker.drain()
        worker.engine.close()
        return books(services, issue)

    return send


def named(environment, server, ca: Path, options: str, **more: str) -> Settings:
    user = "belong%40example.org@" if "xoauth2" in options else ""
    url = f"smtp://{user}localhost:{server.port}?timeout=20&dot_timeout=20&ca={ca}{options}"
    return {**environment, "BELONG_SMTP_URL": url, **more}


@pytest.fixture
def by_token(environment, token_relay: Server, authority) -> Callable[[str], Settings]:
    """Return the settings of a relay that a token of this key opens, by one connection."""

    def by_token(key: str) -> Settings:
        options = "&auth=xoauth2&connections=1"
        return named(environment, token_relay, authority.file, options, BELONG_SMTP_CREDENTIALS=key)

    return by_token


@pytest.mark.parametrize("kind", ["refreshing", "application"])
def test_email_leaves_with_a_token_of_each_kind_of_key(kind, endpoint, token_relay, by_token, send):
    assert send(by_token(getattr(endpoint, kind)())) == ALL_ACCEPTED
    assert (len(endpoint.asked), token_relay.faults) == (1, [])


def test_a_token_that_ends_in_mid_run_is_replaced_and_each_copy_leaves_once(
    endpoint, token_relay, by_token, send
):
    """The relay hangs up after each fifth message, and takes no token twice."""
    count = itertools.count(1)

    def end(_: str) -> None:
        if next(count) % 5 == 0:
            endpoint.tokens.clear()
            token_relay.script("MAIL", "421 4.7.0 Sign in again")

    token_relay.on("DOT", end)
    assert send(by_token(endpoint.refreshing())) == ALL_ACCEPTED
    got = [each.recipient for each in token_relay.accepted]
    assert len(got) == len(set(got)) == MEMBERS
    assert len(endpoint.asked) > 1
    assert token_relay.faults == []


def test_a_user_whom_the_relay_refuses_is_tried_once_and_nothing_is_lost(
    endpoint, token_relay, by_token, send, caplog
):
    endpoint.user = "another@example.org"
    assert send(by_token(endpoint.refreshing())) == ALL_QUEUED
    auths = [each for each in token_relay.commands if each.startswith("AUTH XOAUTH2")]
    assert len(auths) == token_relay.connections == 1
    assert "could not be used, at AUTH" in caplog.text
    assert not [secret for secret in (CLIENT_SECRET, REFRESH_TOKEN) if secret in caplog.text]


def test_an_endpoint_that_gives_no_token_holds_email_back(
    endpoint, token_relay, by_token, send, caplog
):
    endpoint.trouble = (400, b'{"error": "invalid_grant"}')
    assert send(by_token(endpoint.refreshing())) == ALL_QUEUED
    assert token_relay.connections == 0
    assert "could not be used, at TOKEN" in caplog.text


@pytest.mark.usefixtures("app")
def test_the_doctor_says_what_is_wrong_with_a_token_and_shows_no_secret(endpoint, by_token):
    settings = by_token(endpoint.refreshing())
    told = run(settings, "doctor").stdout
    assert "The relay answers, over TLS, takes our sign-in, and offers" in told
    endpoint.user = "another@example.org"
    refused = run(settings, "doctor").stdout
    assert "The relay cannot be used, at AUTH: answered 535." in refused
    endpoint.trouble = (500, b"")
    silent = run(settings, "doctor").stdout
    assert "at TOKEN: no token can be had. Is BELONG_SMTP_CREDENTIALS right" in silent
    said = told + refused + silent
    assert not [each for each in (CLIENT_SECRET, REFRESH_TOKEN, USER) if each in said]


def test_a_relay_with_a_wrong_certificate_gets_no_email_and_the_log_says_what_is_wrong(
    authority, environment, send, caplog
):
    """Each flaw of a certificate is tried in tests/mail/test_connection.py."""
    with Server(tls="starttls", context=authority.server(is_self_signed=True)) as server:
        assert send(named(environment, server, authority.file, "")) == ALL_QUEUED
        assert [each for each in server.commands if each.startswith("MAIL")] == []
    assert "certificate" in caplog.text.partition("The relay could not be used, at ")[2]


def test_a_way_to_sign_in_that_is_half_said_is_told_at_the_start(authority, environment):
    for options, complaint in (
        ("&auth=gssapi", "password or xoauth2"),
        ("&token_file=/a", "needs auth=xoauth2"),
        ("&auth=xoauth2", "give a user and no password"),
    ):
        url = f"smtp://127.0.0.1:25?ca={authority.file}{options}"
        key = {"BELONG_SMTP_CREDENTIALS": "a-token"} if "xoauth2" in options else {}
        with pytest.raises(InvalidSettings) as refusal:
            Config.read({**environment, "BELONG_SMTP_URL": url, **key})
        assert complaint in str(refusal.value)


def test_a_key_that_no_relay_asks_for_is_said(environment):
    with pytest.raises(InvalidSettings, match="BELONG_SMTP_CREDENTIALS is for auth=xoauth2"):
        Config.read({**environment, "BELONG_SMTP_CREDENTIALS": "a-token"})
    url = "smtp://user@relay.example.org?auth=xoauth2"
    for key, complaint in (
        ("{]", "not JSON"), ('{"type": "x"}', "type"),
    ):  # fmt: skip
        with pytest.raises(InvalidSettings, match=complaint):
            Config.read({**environment, "BELONG_SMTP_URL": url, "BELONG_SMTP_CREDENTIALS": key})
