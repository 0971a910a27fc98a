"""The two emails to people of an imported list: do you want to join, and the one reminder."""

from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.emails import CONFIRM_WITHIN, recipient_address, require_group
from belong_mail.members.models import PendingConfirmation
from belong_mail.members.service import confirmation_name


def invitation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask whether the reader wants to join; both emails' links end when the address is deleted."""
    pending = session.get(PendingConfirmation, delivery.about_id)
    if pending is None or pending.subscription_id != delivery.subscription_id:
        raise SkipDelivery(State.WITHDRAWN)
    subscription, at = pending.subscription, pending.created_at
    if subscription.confirmed_at or subscription.ended_at or at + CONFIRM_WITHIN <= now():
        raise SkipDelivery(State.WITHDRAWN)
    require_group(subscription)
    language, link = pending.language, mailer.links.signed
    name = confirmation_name(pending)
    return Email(
        to=recipient_address(session, mailer, subscription),
        language=language,
        context={
            "group": subscription.group,
            "confirm_url": link("subscriptions.confirm", Purpose.CONFIRM, name, at, language),
            "not_me_url": link(
                "subscriptions.not_me", Purpose.REFUSE, subscription.public_id, at, language
            ),
            "expires": at + CONFIRM_WITHIN,
            "group_url": mailer.links.page(
                "subscriptions.join", language, slug=subscription.group.slug
            ),
        },
    )
