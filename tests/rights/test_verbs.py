"""Verbs of the office refuse by themselves, whatever page calls them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, people
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotFound
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.office import service as office
from belong_mail.office import trail
from tests.factories import group_named
from tests.scenario import ADA, VILLAGE

WANTED = people.WantedColleague("Eve", "eve@dpsk12.org", "en", [], office=True)
VERBS: dict[str, Callable[[Session, Account, Services], object]] = {
    "waiting": lambda session, lead, _: office.waiting(session, lead),
    "inbox": lambda session, lead, _: office.inbox(session, lead),
    "resend": lambda session, lead, _: office.resend_messages(session, lead),
    "threads": lambda session, lead, _: office.threads(session, lead),
    "groups": lambda session, lead, _: office.groups(session, lead),
    "group": lambda session, lead, _: office.find_group(session, lead, VILLAGE),
    "ended groups": lambda session, lead, _: office.ended_groups(session, lead),
    "ended group": lambda session, lead, _: office.find_ended_group(session, lead, VILLAGE),
    "issues": lambda session, lead, _: office.issues(session, lead, 1),
    "remove": lambda session, lead, its: office.remove_address(
        session, lead, its.sealer, VILLAGE, ADA, "remove"
    ),
    "find a thread": lambda session, lead, _: office.find(session, lead, "NOTHING-1"),
    "find an issue": lambda session, lead, _: office.find_issue(session, lead, lead.public_id),
    "trail": lambda session, lead, _: trail.groups_in(session, lead),
    "list_teams": lambda session, lead, _: people.list_teams(session, lead),
    "person": lambda session, lead, _: people.find_person(session, lead, lead.public_id),
    "invite": lambda session, lead, its: people.invite(session, its.sealer, lead, WANTED),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_of_the_office_is_refused_to_a_lead(
    services: Services, keyring: Keyring, verb: str
) -> None:
    with services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        invitations.invite(session, keyring.opener, keyring.index, group, ADA)
        [lead] = accounts.leads_of(session, group)
        with pytest.raises(NotFound):
            VERBS[verb](session, lead, services)
