"""Emails about rights and ways to sign in."""

from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, right_tasks, tasks
from belong_mail.accounts.models import Right
from belong_mail.core.db import update_if_free
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.mailer import Email, Mailer, signed_from
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import as_posted, unless_suppressed, writes

ACCEPT_WITHIN = timedelta(seconds=Purpose.INVITATION.max_age or 0)


@writes(invitations.INVITATION)
def invitation(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email an invitation, with a link that accepts it."""
    letter = unless_suppressed(session, mailer, delivery)
    at, secret = signed_from(delivery, Purpose.INVITATION), letter.context["secret"]
    asked = Right.account_id == delivery.account_id, Right.accepted_at.is_(None)
    update_if_free(session, Right, *asked, since=at)
    url = mailer.links.signed("sign_in.accept", Purpose.INVITATION, secret, at, letter.language)
    return letter.saying(accept_url=url, expires=at + ACCEPT_WITHIN)


writes(right_tasks.CHANGED, right_tasks.ENDING)(as_posted)
writes(identity_tasks.LINKED, identity_tasks.LET_IN, tasks.PASSKEY_CHANGED)(as_posted)
