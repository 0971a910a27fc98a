"""The doors at which an intruder in the web guesses an address, by what it seals and writes."""

import base64
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.invitations import find_account
from belong_mail.accounts.jobs import InviteColleague, SendSignInLink
from belong_mail.contact import service as contact
from belong_mail.contact.service import ContactData
from belong_mail.core.db import now
from belong_mail.core.jobs import Job, SealedJob
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.inbound import pipe
from belong_mail.members.imports import BATCH_COLUMN, Import, ImportBatch
from belong_mail.members.jobs import (
    ChangeAddress,
    Join,
    RemoveAddress,
    SendMyGroups,
    SendStaffCode,
    WaitForGroup,
)
from belong_mail.members.models import Subscription
from belong_mail.members.proven import PERMIT, person_hash
from belong_mail.members.service import REMOVE, ask_to_join
from belong_mail.members.wrapped_fields import find_by_address
from tests.factories import group_named
from tests.inbound.mail import bounce
from tests.scenario import VILLAGE, Scenario

INBOX, OFFICE = "dps-belong@example.org", "office@dpsk12.org"
# A member who holds the web as well, and the group that guessed leaders lead.
EVE, OTHER = "eve@dpsk12.org", "asian"


def _ask(scenario, session, wanted: Join | WaitForGroup) -> None:
    ask_to_join(session, scenario.services.sealer, group_named(session, VILLAGE), wanted, now())


def _contact(scenario, session, address: str) -> None:
    written = ContactData("need", "Where?", address=address, language="en")
    contact.receive(session, scenario.services.sealer, contact.new_reference(), written, now())


def seal_list(scenario, session, addresses: list[Any], language: Any = "en") -> None:
    """Store a started list."""
    group = group_named(session, VILLAGE)
    asked = Import(group_id=group.id, language="en", report={}, started_at=now())
    session.add(asked)
    session.flush()
    said = {"group": group.public_id, "language": language, "addresses": addresses}
    sealed = scenario.services.sealer.seal(json.dumps(said).encode(), BATCH_COLUMN)
    session.add(ImportBatch(import_id=asked.id, size=1, sealed=sealed))


def _return(scenario, session, address: str) -> None:
    """Name a guess in a report about what went to a mailbox of the intruder's."""
    [ours, *_] = (mail["Message-ID"] for mail in scenario.relay.to(EVE))
    report = bounce("", address).replace(b"Subject: Hello", f"Message-ID: {ours}".encode())
    sealed = pipe.seal_returned(scenario.services.sealer, "", report)
    session.add(Job(kind=pipe.RETURNED, sealed=sealed))


def _staff_code(_scenario: Scenario, session, address: str) -> SealedJob:
    return SendStaffCode(address, "en", group_named(session, VILLAGE).public_id, "nonce", "source")


def _removal(_scenario: Scenario, session, address: str) -> SealedJob:
    return RemoveAddress(group_named(session, VILLAGE).public_id, address, REMOVE)


def _move(scenario, session, address: str) -> SealedJob:
    """Move the intruder's own membership, as a link to one's own groups allows."""
    keys, group = scenario.keyring, group_named(session, VILLAGE)
    own = find_by_address(session, keys.index, group, EVE, Subscription)
    assert own is not None
    permit = {"public_ids": [own.public_id], "person": person_hash(keys, own), "until": 9e9}
    slip = base64.b64encode(keys.opener.wrap(json.dumps(permit).encode(), PERMIT, ""))
    return ChangeAddress(slip.decode(), "en", address)


def _invite(scenario, session, address: str) -> SealedJob:
    """Invite in the name of somebody of the office."""
    by = find_account(session, scenario.keyring.index, OFFICE)
    assert by is not None
    name, rights = address.partition("@")[0], [group_named(session, OTHER).public_id]
    return InviteColleague(by.public_id, name, address, "en", rights)


DOORS: dict[str, Callable[[Scenario, Session, str], SealedJob | None]] = {
    "join": lambda scenario, session, address: _ask(scenario, session, Join(address, "en")),
    "interest": lambda scenario, session, address: _ask(
        scenario, session, WaitForGroup(address, "en")
    ),
    "my-groups": lambda _scenario, _session, address: SendMyGroups(address, "en"),
    "sign-in": lambda _scenario, _session, address: SendSignInLink(address, "en", "00" * 32),
    "staff-code": _staff_code,
    "contact": _contact,
    "email-again": lambda _scenario, _session, address: SendMyGroups(address, "en"),
    "change-address": _move,
    "invite": _invite,
    "office-removal": _removal,
    "import": lambda scenario, session, address: seal_list(scenario, session, [address]),
    "returned": _return,
}


def guess(scenario, door: str, address: str) -> None:
    with scenario.services.writing.begin() as session:
        asked = DOORS[door](scenario, session, address)
        if asked is not None:
            asked.ask(session, scenario.services.sealer)


def used(scenario, key: bytes) -> float:
    """Return until when an allowance of the worker's is used up: each use makes it later."""
    with scenario.services.reading.begin() as session:
        found = select(WorkerLimit.used_until).where(WorkerLimit.key == key)
        return session.scalar(found) or 0.0
