"""The letters about a group's mailbox: whether it is to be used, and that it was changed."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import inviting
from belong_mail.accounts.models import Account
from belong_mail.groups.models import Group
from belong_mail.memberships.letters import plain
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.shared_mailbox.models import MailboxProposal
from belong_mail.shared_mailbox.service import AGE
from belong_mail.tokens import Purpose


def confirm(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Ask at the mailbox and at the lead's whether it is to be used."""
    letter, said = plain(session, desk, delivery)
    public_id, _, _secret = said["named"].partition(".")
    found = select(MailboxProposal.id).where(MailboxProposal.public_id == public_id)
    if session.scalar(found) is None:
        raise NotSent(State.WITHDRAWN)
    at = delivery.created_at
    url = desk.links.signed(
        "shared_mailbox.confirm", Purpose.CONFIRM_MAILBOX, said["named"], at, letter.language
    )
    context = {"group": said["group"], "confirm_url": url, "expires": at + AGE}
    return Letter(letter.to, letter.language, context)


def changed(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Tell a lead, or the mailbox before, that mail goes elsewhere now; not where."""
    if delivery.account_id is None:
        letter, said = plain(session, desk, delivery)
        to, language, group = letter.to, letter.language, said["group"]
    else:
        lead = session.get(Account, delivery.account_id)
        of = session.get(Group, delivery.about_id)
        if lead is None or of is None:
            raise NotSent(State.WITHDRAWN)
        to, language = inviting.address_of(desk.opener, lead), lead.language
        group = of.name
    context = {
        "group": group,
        "is_lead": delivery.account_id is not None,
        "contact_url": desk.links.page("contact.write", language),
    }
    return Letter(to, language, context)
