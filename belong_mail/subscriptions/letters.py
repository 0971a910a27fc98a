"""The letters about joining: confirm, welcome, already in, and the introduction to the leads."""

import json
from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts import inviting
from belong_mail.accounts.models import Account
from belong_mail.db import now
from belong_mail.groups.cards import said
from belong_mail.mail.address import normalise
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.outbox import suppressions
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.subscriptions.models import Subscription, Wish
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose

NEXT = 3
"""Meetings that a welcome names."""
CONFIRM_WITHIN = timedelta(seconds=Purpose.CONFIRM.max_age or 0)


def confirm(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Ask whether the wish is the reader's own; nothing that was typed stands in it."""
    wish = session.get(Wish, delivery.about_id)
    if wish is None or wish.subscription_id != delivery.subscription_id:
        raise NotSent(State.WITHDRAWN)
    subscription = wish.subscription
    at = delivery.created_at
    link = desk.links.signed
    return Letter(
        to=address(session, desk, subscription),
        language=wish.language,
        context={
            "group": subscription.group,
            "confirm_url": link(
                "subscriptions.confirm", Purpose.CONFIRM, wish.confirm_id, at, wish.language
            ),
            "not_me_url": link(
                "subscriptions.not_me", Purpose.REFUSE, subscription.public_id, at, wish.language
            ),
            "expires": at + CONFIRM_WITHIN,
            "join_url": desk.links.page(
                "subscriptions.join", wish.language, slug=subscription.group.slug
            ),
        },
    )


def welcome(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Tell a new member that they are in; the same words serve who asked to join again."""
    subscription = member(session, delivery)
    language = subscription.language
    coming = meetings.next_held(session, desk.zone, now(), NEXT, subscription.group)
    return Letter(
        to=address(session, desk, subscription),
        language=language,
        context={
            "group": subscription.group,
            "first_name": Keyring(desk.opener, desk.index).name(subscription),
            "words": said(subscription.group.welcome, language),
            "meetings": [words.shown(each, language, is_member=True) for each in coming],
            "leave_url": leave_link(desk, subscription, delivery),
            "groups_url": desk.links.page("directory.index", language),
        },
    )


def introduce(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Introduce a member to a lead, as the member asked; a reply goes to the member."""
    subscription = session.get(Subscription, delivery.about_id)
    lead = session.get(Account, delivery.account_id)
    if subscription is None or lead is None or not subscription.is_active:
        raise NotSent(State.WITHDRAWN)
    if subscription.wrapped_introduction is None:
        raise NotSent(State.WITHDRAWN)
    place = "subscriptions.wrapped_introduction"
    opened = desk.opener.unwrap(subscription.wrapped_introduction, place, subscription.public_id)
    own = address(session, desk, subscription)
    return Letter(
        to=inviting.address_of(desk.opener, lead),
        language=lead.language,
        reply_to=own,
        context={"group": subscription.group, "address": own, **json.loads(opened)},
    )


def member(session: Session, delivery: Delivery) -> Subscription:
    """Return who a delivery is for, or raise NotSent when they have left since."""
    subscription = session.get(Subscription, delivery.subscription_id)
    if subscription is None or not subscription.is_active:
        is_suppressed = subscription is not None and subscription.is_suppressed
        raise NotSent(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
    return subscription


def reader(session: Session, delivery: Delivery) -> Subscription:
    """Return who a reminder is for, or raise NotSent when they have left or paused since."""
    subscription = member(session, delivery)
    if subscription.pause is not None:
        raise NotSent(State.WITHDRAWN)
    return subscription


def leave_link(desk: Desk, subscription: Subscription, delivery: Delivery) -> str:
    return desk.links.signed(
        "subscriptions.leave",
        Purpose.LEAVE,
        subscription.public_id,
        delivery.created_at,
        subscription.language,
    )


def address(session: Session, desk: Desk, subscription: Subscription) -> str:
    """Open the address, unless its owner has asked never to be mailed."""
    opened = Keyring(desk.opener, desk.index).address(subscription)
    if suppressions.covers(session, desk.index, normalise(opened)):
        raise NotSent(State.SUPPRESSED)
    return opened
