"""Emails about a group's shared mailbox."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import as_posted, unless_suppressed, writes
from belong_mail.leads.mailbox import LINK_MAX_AGE, MailboxChange

TIME_TO_ANSWER = timedelta(hours=6)


@writes("confirm-mailbox")
def confirm_mailbox_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a link that confirms a proposed mailbox, unless its time is over.

    Its expiry is fixed in the proposal, so the link is not signed anew as in other emails.
    """
    letter = unless_suppressed(session, mailer, delivery)
    named = letter.context["named"]
    public_id, _, _secret = named.partition(".")
    found = select(MailboxChange.created_at).where(MailboxChange.public_id == public_id)
    at = session.scalar(found)
    if at is None:
        raise SkipDelivery(State.WITHDRAWN)
    if now() > at + LINK_MAX_AGE - TIME_TO_ANSWER:
        raise SkipDelivery(State.EXPIRED)
    url = mailer.links.signed(
        "shared_mailbox.confirm", Purpose.CONFIRM_MAILBOX, named, at, letter.language
    )
    return letter.saying(confirm_url=url, expires=at + LINK_MAX_AGE)


@writes("mailbox-changed")
def mailbox_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify a leader or the previous mailbox of a change, without the new address.

    A leader gets it even if suppressed: an intruder could have suppressed them.
    """
    letter = as_posted(session, mailer, delivery)
    return letter if letter.context["is_lead"] else unless_suppressed(session, mailer, delivery)
