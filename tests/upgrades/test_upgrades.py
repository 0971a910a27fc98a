"""From each released schema, made by its own code: what waits leaves once, and all is readable."""

from collections import Counter
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.groups.missions import MISSIONS, NO_MISSION
from belong_mail.groups.seeds import ESTABLISHED, UPCOMING
from belong_mail.newsletters.models import Newsletter
from belong_mail.worker.loop import make_worker
from tests.browser_client import link_to
from tests.delivery.factories import books
from tests.factories import group_named
from tests.markers import on_both
from tests.servers.smtp import Server
from tests.upgrades import make
from tests.upgrades.conftest import SCHEMAS, same_host

pytestmark = on_both("migrations")


@pytest.mark.parametrize("old", SCHEMAS, ids=lambda file: file.name[:12], indirect=True)
def test_what_waits_in_a_released_schema_leaves_once_and_is_read(
    upgraded: Flask,
    relay: Server,
    settings: dict[str, str],
    is_early: bool,  # noqa: FBT001
) -> None:
    services: Services = upgraded.extensions["belong"]
    same_host(services, Path(settings["BELONG_STATE_FOLDER"]))
    keyring = Keyring(*worker_keys(services.settings.private_keys, services.settings.index_keys))
    for _ in range(2):
        worker = make_worker(services, keyring)
        worker.drain()
        assert worker.held_because is None
        worker.engine.close()
    copies = Counter(one.recipient for one in relay.accepted)
    invited = () if is_early else (make.LEAD,)
    assert copies == dict.fromkeys((*make.MEMBERS, make.READ, make.UNREAD, *invited), 1)
    for address in make.MEMBERS:
        [mail] = relay.to(address)
        assert mail["Subject"] == "Begun"
        assert "library" in str(mail.get_body(("plain",)))
    for address in (make.READ, make.UNREAD):
        [mail] = relay.to(address)
        page = upgraded.test_client().get(link_to(mail, "confirm"))
        assert page.status_code == 200
    with services.reading.begin() as session:
        begun, planned = session.scalars(select(Newsletter).order_by(Newsletter.id))
        assert planned.queued_at is None
        assert planned.due_at is not None
        [lead] = session.scalars(select(Account))
        assert invitations.account_address(keyring.opener, keyring.index, lead) == make.LEAD
        assert session.scalars(select(Job)).all() == []
        assert {one.state for one in session.scalars(select(Delivery))} == {"accepted"}
    assert books(services, begun.id) == {"recipients": 3, "accepted": 3}


@pytest.mark.parametrize(
    "old", [SCHEMAS[0], SCHEMAS[-1]], ids=lambda file: file.name[:12], indirect=True
)
def test_groups_of_a_released_schema_get_the_words_of_a_new_database(upgraded: Flask) -> None:
    services: Services = upgraded.extensions["belong"]
    with services.reading.begin() as session:
        summaries = {slug: summary for slug, _, summary, _ in ESTABLISHED}
        summaries |= {slug: summary for slug, _, summary in UPCOMING}
        for slug, summary in summaries.items():
            group, own = group_named(session, slug), MISSIONS.get(slug, NO_MISSION)
            assert group.summary == summary
            assert (group.mission, group.activities) == (own.mission, own.activities)
            assert group.audience == own.audience


def test_each_released_step_has_its_schema() -> None:
    """Some were never the newest step of a version: they came with others."""
    steps = {file.name[:4] for file in SCHEMAS}
    released = {f"{number:04}" for number in range(1, 14)} - {"0004", "0007", "0012"}
    released |= {"0036", "0040", "0041", "0042", "0043", "0045"}
    assert steps == released
