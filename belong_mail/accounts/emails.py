"""Emails about rights and ways to sign in."""

from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, right_tasks
from belong_mail.accounts.models import Right
from belong_mail.core.db import update_if_free
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, read_posted, signed_from
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import writes
from belong_mail.mail.address import normalise

ACCEPT_WITHIN = timedelta(seconds=Purpose.INVITATION.max_age or 0)


@writes(invitations.INVITATION)
def invitation(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email an invitation, with a link that accepts it."""
    to, said = read_posted(mailer.opener, delivery)
    if suppressions.is_suppressed(session, mailer.index, normalise(to)):
        raise SkipDelivery(State.SUPPRESSED)
    at = signed_from(delivery, Purpose.INVITATION)
    asked = Right.account_id == delivery.account_id, Right.accepted_at.is_(None)
    update_if_free(session, Right, *asked, since=at)
    url = mailer.links.signed(
        "sign_in.accept", Purpose.INVITATION, said["secret"], at, said["language"]
    )
    context = {
        "groups": said["groups"],
        "is_for_office": said["is_for_office"],
        "accept_url": url,
        "expires": at + ACCEPT_WITHIN,
    }
    return Email(to, said["language"], context)


@writes(right_tasks.CHANGED)
def rights_changed(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify of an invitation, of its acceptance, or of a right's end."""
    to, said = read_posted(mailer.opener, delivery)
    told = ("what", "name", "groups", "is_for_office", "is_you")
    return Email(to, said["language"], {each: said[each] for each in told})


@writes(right_tasks.ENDING)
def right_ends(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify the office's inbox that rights end soon, with a link to renew them."""
    to, said = read_posted(mailer.opener, delivery)
    url = mailer.links.page("office_groups.listed", said["language"])
    return Email(to, said["language"], {"people_url": url})


@writes(identity_tasks.LINKED, identity_tasks.LET_IN)
def sign_in_changed(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify someone that their way to sign in, or a colleague's, has changed."""
    to, said = read_posted(mailer.opener, delivery)
    url = mailer.links.page("contact.write", said["language"])
    context = {"is_own": said["is_own"], "name": said["name"], "contact_url": url}
    return Email(to, said["language"], context)
