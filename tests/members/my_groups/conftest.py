"""Shared by the tests of “my groups”: a person with groups, and the way to the link."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.members import self_service
from belong_mail.members.models import Subscription
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import link_to, path_of
from tests.delivery.factories import books
from tests.scenario import ADA, Scenario

MALLORY = "mallory@dpsk12.org"


@dataclass(frozen=True)
class Mine(Scenario):
    """Ada, her groups, and what she does by the links that are mailed to her."""

    def join(self, address: str, *slugs: str) -> list[str]:
        """Make an address a member of groups; return the public ids."""
        return [self.add_member(address, slug).public_id for slug in slugs]

    def link(self, address: str = ADA) -> str:
        """Ask for an address's link and return its path, without a language."""
        assert self.send("/my-groups", email=address).status_code == 303
        return path_of(link_to(self.mails(address)[-1], "my-groups")).partition("?")[0]

    def sheet(self, *slugs: str) -> str:
        """Make Ada a member of groups; return her link."""
        self.join(ADA, *slugs or ("the-village", "lgbtq"))
        return self.link()

    def belong(self, *slugs: str) -> tuple[str, ...]:
        """Make Ada a member of groups; return her link, and the public ids."""
        held = self.join(ADA, *slugs)
        return self.link(), *held

    def ask_to_move(self, path: str, new: str) -> str:
        """Type a new address and return the link that was mailed there."""
        assert self.send(f"{path}/change-address", email=new).status_code == 303
        return link_to(self.mails(new)[-1], "change-address")

    def slip(self, path: str) -> str:
        """Return what a break-in to the web sees when somebody opens a link."""
        with self.services.reading.begin() as session:
            listed = self_service.open_session(session, path.rpartition("/")[2])
        return base64.b64encode(listed.permit).decode()

    def ask_by_slip(self, slip: str, *kinds: str) -> None:
        """Ask, as a break-in to the web can, for what a slip allows."""
        wanted = {"slip": slip, "language": "en", "new": MALLORY}
        with self.services.writing.begin() as session:
            for kind in kinds:
                sealed = self.services.sealer.seal(json.dumps(wanted).encode(), sealed_for(kind))
                session.add(Job(kind=kind, sealed=sealed))

    def send_issue(self) -> None:
        self.queue_at_once()
        self.worker.drain()

    def open(self, url: str) -> TestResponse:
        return self.visitor.open(url)

    def press(self, url: str, **fields: Any) -> TestResponse:
        return self.visitor.press(url, **fields)

    def follow(self, url: str, **fields: Any) -> TestResponse:
        return self.visitor.follow(url, **fields)

    def send(self, url: str, **typed: Any) -> TestResponse:
        return self.visitor.send(url, **typed)

    def books(self) -> dict[str, int]:
        [issue] = self.query(select(Newsletter.id))
        return books(self.services, issue)

    def state(self, public_id: str) -> tuple[Any, ...]:
        [one] = self.query(select(Subscription).where(Subscription.public_id == public_id))
        return one.is_active, one.paused_until, one.language


@pytest.fixture
def mine(scenario) -> Mine:
    return Mine(**vars(scenario))
