"""Emails about rights and ways to sign in."""

from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, right_tasks, tasks
from belong_mail.accounts.models import Right
from belong_mail.core.db import update_if_free
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.mailer import Email, Mailer, signed_from
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import as_posted, unless_suppressed, with_link, writes


@writes(invitations.INVITATION)
def invitation(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email an invitation, with a link that accepts it."""
    letter = unless_suppressed(session, mailer, delivery)
    at = signed_from(delivery, Purpose.INVITATION)
    asked = Right.account_id == delivery.account_id, Right.accepted_at.is_(None)
    update_if_free(session, Right, *asked, since=at)
    return with_link(mailer, letter, "sign_in.accept", Purpose.INVITATION, at)


writes(right_tasks.CHANGED, right_tasks.ENDING)(as_posted)
writes(identity_tasks.LINKED, identity_tasks.LET_IN, tasks.PASSKEY_CHANGED)(as_posted)
