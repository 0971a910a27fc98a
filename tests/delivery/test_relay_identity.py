"""How a relay and we show who we are: certificates of both, a password, a token that ends."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker, make_worker
from config import Config, InvalidSettings
from tests.delivery.factories import books, queue
from tests.markers import on_sqlite
from tests.processes import run
from tests.servers.smtp import Server
from tests.servers.tls import Authority
from tests.servers.tokens import CLIENT_SECRET, REFRESH_TOKEN, TokenEndpoint

pytestmark = on_sqlite
USER = "belong@example.org"
PASSWORD = "correct-horse"
DAY = timedelta(days=1)
Settings = dict[str, str]


@dataclass(frozen=True)
class Ours:
    """A certificate that we show, and who signed it."""

    authority: Authority
    file: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    authority = Authority.make(tmp_path_factory.mktemp("ours"))
    return Ours(authority, authority.leaf(("belong.example.org",)))


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint(USER) as endpoint:
        yield endpoint


@pytest.fixture
def token_relay(authority: Authority, endpoint: TokenEndpoint) -> Iterator[Server]:
    context = authority.server()
    with Server(tls="starttls", context=context, bearers=endpoint.tokens) as server:
        yield server


def named(environment: Settings, server: Server, ca: Path, options: str, **more: str) -> Settings:
    user = "belong%40example.org@" if "xoauth2" in options else ""
    url = f"smtp://{user}localhost:{server.port}?timeout=20&dot_timeout=20&ca={ca}{options}"
    return {**environment, "BELONG_SMTP_URL": url, **more}


def worker_of(settings: Settings, services: Services, keyring: Keyring) -> Worker:
    rest = (services.tokens, services.sealer, services.links, services.renderer)
    own = Services(Config.read(settings), services.writing, services.reading, *rest)
    return make_worker(own, keyring)


def drain(worker: Worker) -> None:
    worker.drain()
    worker.engine.close()


def with_token(
    environment: Settings, server: Server, ca: Path, key: str, options: str = ""
) -> Settings:
    return named(environment, server, ca, f"&auth=xoauth2{options}", BELONG_SMTP_CREDENTIALS=key)


def auths(server: Server) -> int:
    return sum(command.startswith("AUTH XOAUTH2") for command in server.commands)


def test_nothing_is_told_to_a_relay_whose_certificate_is_wrong_and_email_waits(
    authority, caplog,
    environment, services, keyring
):  # fmt: skip
    """Each flaw of a certificate is tried in tests/mail/test_connection.py."""
    issue = queue(services, keyring, 2)
    context, users = authority.server(is_self_signed=True), {"belong": PASSWORD}
    with Server(tls="starttls", context=context, users=users) as server:
        url = f"smtp://belong:{PASSWORD}@localhost:{server.port}?timeout=20&ca={authority.file}"
        settings = {**environment, "BELONG_SMTP_URL": url}
        drain(worker_of(settings, services, keyring))
        assert not [c for c in server.commands if c.startswith(("AUTH", "MAIL", "RCPT"))]
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    told = re.search(r"The relay could not be used, at \w+ \((.+)\)", caplog.text)
    assert told
    assert "certificate" in told[1]
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("kind", ["refreshing", "application"])
def test_email_leaves_with_a_token_of_each_kind_of_key(
    kind, endpoint, token_relay, authority,
    environment, services, keyring
):  # fmt: skip
    issue = queue(services, keyring, 2)
    key = getattr(endpoint, kind)()
    drain(worker_of(with_token(environment, token_relay, authority.file, key), services, keyring))
    assert books(services, issue) == {"recipients": 2, "accepted": 2}
    assert (len(endpoint.asked), token_relay.faults) == (1, [])


def test_a_token_that_ends_in_mid_run_is_replaced_and_each_copy_leaves_once(
    endpoint, token_relay, authority,
    environment, services, keyring
):  # fmt: skip
    """The relay hangs up after each fifth message, and takes no token twice.

    One connection: with more, a token that another has just got ends before it is shown.
    """
    issue = queue(services, keyring, 20)
    key = endpoint.refreshing()
    settings = with_token(environment, token_relay, authority.file, key, "&connections=1")
    count = [0]

    def end(_: str) -> None:
        count[0] += 1
        if count[0] % 5 == 0:
            endpoint.tokens.clear()
            token_relay.script("MAIL", "421 4.7.0 Sign in again")

    token_relay.on("DOT", end)
    drain(worker_of(settings, services, keyring))
    assert books(services, issue) == {"recipients": 20, "accepted": 20}
    got = [each.recipient for each in token_relay.accepted]
    assert len(got) == len(set(got)) == 20
    assert len(endpoint.asked) > 1
    assert token_relay.faults == []


def test_a_user_whom_the_relay_refuses_is_tried_once_and_nothing_is_lost(
    endpoint, token_relay, authority,
    environment, services, keyring, caplog
):  # fmt: skip
    issue = queue(services, keyring, 2)
    endpoint.user = "another@example.org"
    settings = with_token(
        environment, token_relay, authority.file, endpoint.refreshing(), "&connections=1"
    )
    drain(worker_of(settings, services, keyring))
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    assert auths(token_relay) == token_relay.connections == 1
    assert "could not be used, at AUTH" in caplog.text
    assert not [secret for secret in (CLIENT_SECRET, REFRESH_TOKEN) if secret in caplog.text]


def test_an_endpoint_that_gives_no_token_holds_email_back(
    endpoint, token_relay, authority,
    environment, services, keyring, caplog
):  # fmt: skip
    issue = queue(services, keyring, 2)
    endpoint.trouble = (400, b'{"error": "invalid_grant"}')
    settings = with_token(environment, token_relay, authority.file, endpoint.refreshing())
    drain(worker_of(settings, services, keyring))
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    assert token_relay.connections == 0
    assert "could not be used, at TOKEN" in caplog.text


def test_the_doctor_says_what_is_wrong_with_a_token_and_shows_no_secret(
    endpoint, token_relay, authority,
    environment, app
):  # fmt: skip
    assert app
    settings = with_token(environment, token_relay, authority.file, endpoint.refreshing())
    told = run(settings, "doctor").stdout
    assert "The relay answers, over TLS, takes our sign-in, and offers" in told
    endpoint.user = "another@example.org"
    refused = run(settings, "doctor").stdout
    assert "The relay cannot be used, at AUTH." in refused
    endpoint.trouble = (500, b"")
    silent = run(settings, "doctor").stdout
    assert "The relay cannot be used, at TOKEN. Is BELONG_SMTP_CREDENTIALS right" in silent
    said = told + refused + silent
    assert not [each for each in (CLIENT_SECRET, REFRESH_TOKEN, USER) if each in said]


@pytest.fixture
def certified_relay(authority: Authority, ours: Ours) -> Iterator[Server]:
    """Take nobody whose certificate was not signed by our authority."""
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ours.authority.file)
    with Server(tls="starttls", context=context) as server:
        yield server


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_relay_takes_email_by_our_certificate(
    version, certified_relay, authority, ours,
    environment, services, keyring
):  # fmt: skip
    assert certified_relay.manners.context is not None
    certified_relay.manners.context.maximum_version = version
    issue = queue(services, keyring, 2)
    settings = named(environment, certified_relay, authority.file, f"&cert={ours.file}")
    drain(worker_of(settings, services, keyring))
    assert books(services, issue) == {"recipients": 2, "accepted": 2}


@pytest.fixture(params=["of another authority", "expired"])
def refused(request: pytest.FixtureRequest, authority: Authority, ours: Ours) -> Path:
    """Return a certificate that the relay does not take."""
    if request.param == "expired":
        return ours.authority.leaf(("belong.example.org",), -2 * DAY, -DAY)
    return authority.leaf(("belong.example.org",))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_the_relay_refuses_is_named_and_email_waits(
    version, refused, certified_relay, authority,
    environment, services, keyring, caplog
):  # fmt: skip
    assert certified_relay.manners.context is not None
    certified_relay.manners.context.maximum_version = version
    issue = queue(services, keyring, 2)
    settings = named(environment, certified_relay, authority.file, f"&cert={refused}")
    drain(worker_of(settings, services, keyring))
    assert books(services, issue) == {"recipients": 2, "queued": 2}
    assert "could not be used, at CERTIFICATE" in caplog.text
    told = run(settings, "doctor").stdout
    assert "at CERTIFICATE. The relay does not accept our client certificate (cert)." in told


def test_a_certificate_that_cannot_be_shown_is_said_at_the_start(
    authority, ours, environment, tmp_path
):
    other = tmp_path / "other.pem"
    other.write_text(authority.leaf().read_text())
    locked = tmp_path / "locked.pem"
    locked.write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"
    )
    for options, complaint in (
        (f"&cert={ours.file}&key={other}", "do not fit"),
        (f"&cert={ours.file}&key={locked}", "do not fit, or the key has a password"),
        (f"&cert={ours.file}&key={tmp_path}/none", "does not exist"),
        (f"&key={ours.file}", "needs its certificate"),
        ("&auth=gssapi", "password or xoauth2"),
        ("&token_file=/a", "needs auth=xoauth2"),
        ("&auth=xoauth2", "give a user and no password"),
        (f"&cert={ours.file}&tls=none", "needs TLS"),
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
