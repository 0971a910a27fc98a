"""The emails about a group's mailbox."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.emails import require_lead
from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import writes
from belong_mail.groups.models import Group
from belong_mail.leads.mailbox import LINK_MAX_AGE, MailboxChange
from belong_mail.members.emails import plain

TIME_TO_ANSWER = timedelta(hours=6)


@writes("confirm-mailbox")
def confirm_mailbox_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask at the mailbox and at the lead's whether it is to be used, while there is time to answer.

    The worker has wrapped until when it takes an answer, so the link is not signed anew.
    """
    letter, said = plain(session, mailer, delivery)
    public_id, _, _secret = said["named"].partition(".")
    found = select(MailboxChange.created_at).where(MailboxChange.public_id == public_id)
    at = session.scalar(found)
    if at is None:
        raise SkipDelivery(State.WITHDRAWN)
    if now() > at + LINK_MAX_AGE - TIME_TO_ANSWER:
        raise SkipDelivery(State.EXPIRED)
    url = mailer.links.signed(
        "shared_mailbox.confirm", Purpose.CONFIRM_MAILBOX, said["named"], at, letter.language
    )
    context = {"group": said["group"], "confirm_url": url, "expires": at + LINK_MAX_AGE}
    return Email(letter.to, letter.language, context)


@writes("mailbox-changed")
def mailbox_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a lead, or the mailbox before, that mail goes elsewhere now; not where."""
    if delivery.account_id is None:
        letter, said = plain(session, mailer, delivery)
        to, language, group = letter.to, letter.language, said["group"]
    else:
        about = session.get(Group, delivery.about_id)
        lead, of = require_lead(session, mailer, delivery, about)
        to, language = invitations.account_address(mailer.opener, mailer.index, lead), lead.language
        group = of.name
    context = {
        "group": group,
        "is_lead": delivery.account_id is not None,
        "contact_url": mailer.links.page("contact.write", language),
    }
    return Email(to, language, context)
