"""Shared by the tests of “my groups”: a person with groups, and the way to the link."""

from collections.abc import Callable

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, links_in, path_of
from tests.factories import make_member
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"
# Makes an address a member of groups, asks for its link, and returns the link's path.
Sheet = Callable[..., str]


@pytest.fixture
def join(services: Services, keyring: Keyring) -> Callable[..., list[str]]:
    """Make an address a member of groups; return the public ids."""

    def join(address: str, *slugs: str) -> list[str]:
        with services.writing.begin() as session:
            return [make_member(session, keyring, address, slug).public_id for slug in slugs]

    return join


@pytest.fixture
def link(visitor: Visitor, worker: Worker, relay: Server) -> Callable[[str], str]:
    """Ask for an address's link and return its path, without a language."""

    def link(address: str) -> str:
        assert visitor.send("/my-groups", email=address).status_code == 303
        worker.drain()
        [url] = [each for each in links_in(relay.to(address)[-1]) if "/my-groups/" in each]
        return path_of(url).partition("?")[0]

    return link


@pytest.fixture
def sheet(join: Callable[..., list[str]], link: Callable[[str], str]) -> Sheet:
    def sheet(*slugs: str) -> str:
        join(ADA, *slugs or ("the-village", "lgbtq"))
        return link(ADA)

    return sheet
