"""Verbs about people's rights refuse by themselves, whatever page calls them."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, people
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import InviteColleague
from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotFound
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.factories import group_named
from tests.scenario import ADA, VILLAGE

WANTED = InviteColleague("", "Eve", "eve@dpsk12.org", "en", [], office=True)
VERBS: dict[str, Callable[[Session, Account, Services], object]] = {
    "list_teams": lambda session, lead, _: people.list_teams(session, lead),
    "person": lambda session, lead, _: people.find_person(session, lead, lead.public_id),
    "invite": lambda session, lead, its: people.invite(session, its.sealer, lead, WANTED),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_about_rights_is_refused_to_a_lead(
    services: Services, keyring: Keyring, verb: str
) -> None:
    with services.writing.begin() as session:
        group = group_named(session, VILLAGE)
        invitations.invite(session, keyring.opener, keyring.index, group, ADA)
        [lead] = accounts.leads_of(session, group)
        with pytest.raises(NotFound):
            VERBS[verb](session, lead, services)
