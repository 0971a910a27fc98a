"""A lead whose right is taken back; whose is what else, tests/rights tries."""

from belong_mail.accounts import invitations
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.browser_client import Visitor
from tests.factories import group_named


def test_a_lead_who_was_removed_has_no_group_any_more(
    lead: Visitor, services: Services, keyring: Keyring
) -> None:
    with services.writing.begin() as session:
        group = group_named(session, "the-village")
        assert invitations.remove_lead(
            session, keyring.index, group, "lead-of-the-village@dpsk12.org"
        )
    assert "You don’t lead a group anymore" in lead.open("/lead/").text
    assert lead.open("/lead/groups/the-village/page").status_code == 404
