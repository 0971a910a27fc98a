"""A mailbox that a token opens (XOAUTH2): Dovecot asks the endpoint whose each token is."""

from collections.abc import Iterator

import pytest

from tests.inbound.scenario import last_poll, poll
from tests.markers import on_sqlite
from tests.servers.dovecot import BY_PASSWORD, Dovecot, dovecot, needs_dovecot
from tests.servers.tokens import TokenEndpoint

BY_TOKEN = """\
auth_mechanisms = plain login xoauth2
oauth2 {{
  introspection_mode = post
  introspection_url = ENDPOINT/introspect
  username_attribute = email
}}
passdb oauth2 {{
  mechanisms_filter = xoauth2
}}
"""
MESSAGE = b"Subject: Hello\r\n\r\nHello\r\n"
pytestmark = [needs_dovecot, on_sqlite]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def imap(endpoint) -> Iterator[Dovecot]:
    with dovecot(BY_TOKEN.replace("ENDPOINT", endpoint.url) + BY_PASSWORD) as server:
        yield server


@pytest.fixture
def key() -> str:
    """The JSON key that opens the mailbox."""
    return "refreshing"


@pytest.fixture
def environment(environment, endpoint, inbox, tmp_path, key: str) -> dict[str, str]:
    endpoint.user, endpoint.trouble, endpoint.life = inbox.user, None, 3600
    endpoint.is_revoked = False
    endpoint.asked.clear()
    file = tmp_path / "key.json"
    file.write_text(getattr(endpoint, key)())
    url = inbox.url(password="", options="&auth=xoauth2")
    return environment | {
        "BELONG_INBOUND_URL": url,
        "BELONG_INBOUND_CREDENTIALS_FILE": str(file),
    }


@pytest.mark.parametrize("key", ["refreshing", "application"])
def test_a_token_opens_the_mailbox_and_serves_until_it_is_refused(
    worker, inbox, endpoint, services
):
    for number in range(1, 3):
        inbox.put(b"X-Number: %d\r\n" % number + MESSAGE)
        poll(worker)
        assert inbox.counts() == (0, number)
    assert len(endpoint.asked) == 1
    endpoint.tokens.clear()
    inbox.put(MESSAGE)
    poll(worker)
    assert last_poll(services).failed_step == "LOGIN"
    poll(worker)
    assert inbox.counts() == (0, 3)
    assert len(endpoint.asked) == 2


def test_a_token_that_ends_is_replaced_in_time(worker, inbox, endpoint):
    endpoint.life = 30
    for _ in range(2):
        poll(worker)
    assert len(endpoint.asked) == 2
    assert inbox.counts() == (0, 0)


@pytest.mark.parametrize(
    "trouble",
    [
        None, (500, b"{}"), (302, b"{}"), (200, b"[]"), (200, b"{"), (200, b'{"token": 1}'),
        (200, b"x" * 100_000), (200, b'{"access_token": "a\\u00e9"}'),
    ],
)  # fmt: skip
def test_an_endpoint_that_gives_no_token_opens_nothing_and_is_told_from_a_mailbox_that_is_shut(
    worker, inbox, endpoint, services, trouble
):
    inbox.put(MESSAGE)
    endpoint.trouble, endpoint.is_revoked = trouble, trouble is None
    poll(worker)
    assert last_poll(services).failed_step == "TOKEN"
    assert inbox.counts() == (1, 0)
