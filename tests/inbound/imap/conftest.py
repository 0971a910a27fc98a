"""Shared by tests of the intake: a Dovecot, a mailbox of one's own, members of a group."""

from collections.abc import Iterator

import pytest

from tests.servers.dovecot import Dovecot, Inbox, dovecot
from tests.servers.imap import ImapServer


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def inbox(imap, tmp_path) -> Inbox:
    """A mailbox that is nobody else's."""
    return Inbox(imap, f"{tmp_path.name}@example.org")


@pytest.fixture
def scripted() -> Iterator[ImapServer]:
    with ImapServer() as server:
        yield server


@pytest.fixture
def environment(environment, request) -> dict[str, str]:
    """Read the mailbox, or the scripted server, that a test asks for."""
    if "inbox" in request.fixturenames:
        inbox: Inbox = request.getfixturevalue("inbox")
        return environment | {"BELONG_INBOUND_URL": inbox.url()}
    if "scripted" in request.fixturenames:
        scripted: ImapServer = request.getfixturevalue("scripted")
        return environment | {"BELONG_INBOUND_URL": scripted.url}
    return environment
