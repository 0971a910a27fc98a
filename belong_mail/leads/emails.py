"""Emails about a group's shared mailbox."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, read_posted
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.suppressions import is_suppressed
from belong_mail.delivery.work import writes
from belong_mail.leads.mailbox import LINK_MAX_AGE, MailboxChange
from belong_mail.mail.address import normalise
from belong_mail.members.emails import plain

TIME_TO_ANSWER = timedelta(hours=6)


@writes("confirm-mailbox")
def confirm_mailbox_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a link that confirms a proposed mailbox, as long as time to answer is left.

    Its expiry is fixed in the proposal, so the link is not signed anew as in other emails.
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
    """Notify a leader or the previous mailbox of a change, without the new address.

    A leader gets it even if suppressed: an intruder could have suppressed them.
    """
    to, said = read_posted(mailer.opener, delivery)
    if not said["is_lead"] and is_suppressed(session, mailer.index, normalise(to)):
        raise SkipDelivery(State.SUPPRESSED)
    context = {
        "group": said["group"],
        "is_lead": said["is_lead"],
        "contact_url": mailer.links.page("contact.write", said["language"]),
    }
    return Email(to, said["language"], context)
