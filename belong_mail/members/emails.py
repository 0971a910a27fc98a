"""The emails about joining: invite, confirm, welcome, already in, introduce to the leads."""

import json
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, signed_from
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.presenters import localized
from belong_mail.mail.address import normalise
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.members import erasure, own_calendar
from belong_mail.members.models import PendingConfirmation, Subscription
from belong_mail.members.service import confirmation_name
from belong_mail.members.wrapped_fields import address_of, first_name

# Meetings that a welcome names.
MEETINGS_SHOWN = 3
CONFIRM_WITHIN = timedelta(seconds=Purpose.CONFIRM.max_age or 0)


def confirmation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask whether the sign-up is the reader's own; nothing that was typed stands in it."""
    pending = _pending(session, delivery)
    require_group(pending.subscription)
    at = signed_from(delivery, Purpose.CONFIRM)
    pending.created_at = max(pending.created_at, at)
    return _asking(session, mailer, pending, at)


def welcome_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a new member that they are in; the same words serve who asked to join again."""
    subscription = require_member(session, delivery)
    language = subscription.language
    coming = meetings.next_held(session, mailer.zone, now(), MEETINGS_SHOWN, subscription.group)
    return Email(
        to=recipient_address(session, mailer, subscription),
        language=language,
        context={
            "group": subscription.group,
            "first_name": first_name(Keyring(mailer.opener, mailer.index), subscription),
            "words": localized(subscription.group.welcome, language),
            "meetings": [
                formatting.meeting_view(each, language, is_member=True) for each in coming
            ],
            "calendar_url": calendar_link(mailer, subscription, delivery),
            "leave_url": leave_link(mailer, subscription, delivery),
            "groups_url": mailer.links.page("directory.index", language),
        },
    )


def introduction_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Introduce a member to a lead, as the member asked; a reply goes to the member."""
    subscription = session.get(Subscription, delivery.about_id)
    lead = session.get(Account, delivery.account_id)
    if subscription is None or lead is None or not subscription.is_active:
        raise SkipDelivery(State.WITHDRAWN)
    if subscription.wrapped_introduction is None:
        raise SkipDelivery(State.WITHDRAWN)
    if not invitations.may_meet_members(session, mailer.opener, lead, subscription.group):
        raise SkipDelivery(State.WITHDRAWN)
    require_group(subscription)
    place = "subscriptions.wrapped_introduction"
    opened = mailer.opener.unwrap(subscription.wrapped_introduction, place, subscription.public_id)
    own = recipient_address(session, mailer, subscription)
    return Email(
        to=invitations.account_address(mailer.opener, mailer.index, lead),
        language=lead.language,
        reply_to=own,
        context={"group": subscription.group, "address": own, **json.loads(opened)},
    )


def require_member(session: Session, delivery: Delivery) -> Subscription:
    """Return who a delivery is for, or raise SkipDelivery when they have left since."""
    subscription = session.get(Subscription, delivery.subscription_id)
    if subscription is None or not subscription.is_active:
        is_suppressed = subscription is not None and subscription.is_suppressed
        raise SkipDelivery(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
    require_group(subscription)
    return subscription


def require_group(subscription: Subscription) -> None:
    """Raise SkipDelivery when the group has ended since."""
    if subscription.group.has_ended(now()):
        raise SkipDelivery(State.WITHDRAWN)


def require_reader(session: Session, delivery: Delivery) -> Subscription:
    """Return who a reminder is for, or raise SkipDelivery when they have left or paused since."""
    subscription = require_member(session, delivery)
    if subscription.pause is not None:
        raise SkipDelivery(State.WITHDRAWN)
    return subscription


def leave_link(mailer: Mailer, subscription: Subscription, delivery: Delivery) -> str:
    return mailer.links.signed(
        "subscriptions.leave",
        Purpose.LEAVE,
        subscription.public_id,
        delivery.created_at,
        subscription.language,
    )


def calendar_link(mailer: Mailer, subscription: Subscription, delivery: Delivery) -> str:
    """Link to the group's meetings as a file for the member's own calendar."""
    return mailer.links.signed(
        "own_calendar.feed",
        Purpose.MEMBER_CALENDAR,
        own_calendar.link_id(subscription),
        delivery.created_at,
        subscription.language,
    )


def recipient_address(session: Session, mailer: Mailer, subscription: Subscription) -> str:
    """Open the address, unless its owner has asked never to be mailed, or to be erased."""
    keyring = Keyring(mailer.opener, mailer.index)
    opened = address_of(keyring, subscription)
    identity = normalise(opened)
    if suppressions.is_suppressed(session, mailer.index, identity):
        raise SkipDelivery(State.SUPPRESSED)
    if erasure.is_being_erased(session, keyring, identity, subscription.public_id):
        raise SkipDelivery(State.WITHDRAWN)
    return opened


def invitation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask whether the reader wants to join; both emails' links end when the address is deleted."""
    pending = _pending(session, delivery)
    subscription, at = pending.subscription, pending.created_at
    if subscription.confirmed_at or subscription.ended_at or at + CONFIRM_WITHIN <= now():
        raise SkipDelivery(State.WITHDRAWN)
    require_group(subscription)
    return _asking(session, mailer, pending, at)


def _pending(session: Session, delivery: Delivery) -> PendingConfirmation:
    pending = session.get(PendingConfirmation, delivery.about_id)
    if pending is None or pending.subscription_id != delivery.subscription_id:
        raise SkipDelivery(State.WITHDRAWN)
    return pending


def _asking(session: Session, mailer: Mailer, pending: PendingConfirmation, at: datetime) -> Email:
    """Ask with links that count from a time."""
    subscription, language, link = pending.subscription, pending.language, mailer.links.signed
    public_id, name = subscription.public_id, confirmation_name(pending)
    return Email(
        to=recipient_address(session, mailer, subscription),
        language=language,
        context={
            "group": subscription.group,
            "confirm_url": link("subscriptions.confirm", Purpose.CONFIRM, name, at, language),
            "not_me_url": link("subscriptions.not_me", Purpose.REFUSE, public_id, at, language),
            "expires": at + CONFIRM_WITHIN,
            "join_url": mailer.links.page(
                "subscriptions.join", language, slug=subscription.group.slug
            ),
        },
    )
