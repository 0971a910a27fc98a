"""Emails to members about joining and self-service."""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.accounts.proven import address_of as account_address
from belong_mail.accounts.proven import may_meet_members
from belong_mail.accounts.service import find_right
from belong_mail.contact.service import in_fours
from belong_mail.core import i18n
from belong_mail.core.db import now, update_if_free
from belong_mail.core.decryption import Keyring
from belong_mail.core.tokens import Purpose, secret_hash
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import IssuePaused, SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, signed_from
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import as_posted, unless_suppressed, with_link, writes
from belong_mail.groups.presenters import localized
from belong_mail.mail.address import folded, normalise
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.members import (
    erasure,
    import_tasks,
    proven,
    self_service_tasks,
    tasks,
)
from belong_mail.members.models import (
    INTRODUCE,
    WELCOME,
    AddressChange,
    ManageSession,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.self_service import LINK_MAX_AGE, calendar_name
from belong_mail.members.service import noon_utc
from belong_mail.members.wrapped_fields import (
    INTRODUCTION_COLUMN,
    address_of,
    first_name,
    rows_of,
)

CONFIRM_WITHIN = timedelta(seconds=Purpose.CONFIRM.max_age or 0)
# By how much a permission outlives its link, as the worker may be down when it is used.
TIME_FOR_THE_WORKER = timedelta(days=1)


@writes(*tasks.CONFIRMATION_KINDS)
def confirmation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask someone to confirm a sign-up; nothing that was typed is quoted."""
    at = signed_from(delivery, Purpose.CONFIRM)
    own = PendingConfirmation.id == delivery.about_id, PendingConfirmation.created_at < at
    update_if_free(session, PendingConfirmation, *own, created_at=at)
    return _asking(session, mailer, delivery, at)


@writes(tasks.ALREADY)
def already_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a member who signed up again that they are a member."""
    letter, at = unless_suppressed(session, mailer, delivery), delivery.created_at
    member, language = letter.context["member"], letter.language
    leave = mailer.links.signed("subscriptions.manage", Purpose.LEAVE, member, at, language)
    return letter.saying(leave_url=leave)


@writes(WELCOME)
def welcome_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    subscription = require_member(session, delivery)
    language, link, own = subscription.language, mailer.links.signed, calendar_name(subscription)
    at, zone = delivery.created_at, mailer.settings.timezone
    coming = meetings.next_held(session, zone, now(), meetings.NEXT, subscription.group)
    to = recipient_address(session, mailer, subscription)
    return Email(
        to=to,
        language=language,
        context={
            "group": subscription.group,
            "first_name": first_name(mailer.keys, subscription),
            "is_staff": mailer.settings.staff.is_ours(to),
            "words": localized(subscription.group.welcome, language),
            "meetings": [
                formatting.meeting_view(each, language, is_member=True) for each in coming
            ],
            "calendar_url": link("own_calendar.feed", Purpose.MEMBER_CALENDAR, own, at, language),
            "leave_url": leave_link(mailer, subscription, delivery),
        },
    )


@writes(INTRODUCE)
def introduction_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Introduce a member to a leader, at the member's request; replies go to the member."""
    subscription = session.get(Subscription, delivery.about_id)
    lead = session.get(Account, delivery.account_id)
    if subscription is None or lead is None or not subscription.is_active:
        raise SkipDelivery(State.WITHDRAWN)
    if subscription.wrapped_introduction is None:
        raise SkipDelivery(State.WITHDRAWN)
    if not may_meet_members(session, mailer.keys.opener, lead, subscription.group):
        raise SkipDelivery(State.WITHDRAWN)
    right = find_right(session, lead, subscription.group)
    if right is not None and right.is_over:
        raise IssuePaused  # the worker deletes ended rights; the web's mark may be false
    require_group(subscription)
    opened = mailer.keys.opener.unwrap(
        subscription.wrapped_introduction, INTRODUCTION_COLUMN, subscription.public_id
    )
    own = recipient_address(session, mailer, subscription)
    return Email(
        to=account_address(mailer.keys, lead),
        language=lead.language,
        reply_to=own,
        context={"group": subscription.group, "address": own, **json.loads(opened)},
    )


def require_member(session: Session, delivery: Delivery) -> Subscription:
    """Return the member that a delivery is for, or raise SkipDelivery if they have left."""
    subscription = session.get(Subscription, delivery.subscription_id)
    if subscription is None or not subscription.is_active:
        is_suppressed = subscription is not None and subscription.is_suppressed
        raise SkipDelivery(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
    require_group(subscription)
    return subscription


def require_group(subscription: Subscription) -> None:
    """Raise SkipDelivery if the group has ended."""
    if subscription.group.has_ended(now()):
        raise SkipDelivery(State.WITHDRAWN)


def leave_link(mailer: Mailer, subscription: Subscription, delivery: Delivery) -> str:
    return mailer.links.signed(
        "subscriptions.manage",
        Purpose.LEAVE,
        subscription.public_id,
        delivery.created_at,
        subscription.language,
    )


def recipient_address(session: Session, mailer: Mailer, subscription: Subscription) -> str:
    """Decrypt a member's address. Raises SkipDelivery if it is suppressed or being erased."""
    opened = address_of(mailer.keys, subscription)
    identity = folded(opened)
    if suppressions.is_suppressed(session, mailer.keys.index, identity):
        raise SkipDelivery(State.SUPPRESSED)
    if erasure.is_being_erased(session, mailer.keys, identity, subscription):
        raise SkipDelivery(State.WITHDRAWN)
    return opened


@writes(import_tasks.INVITED, import_tasks.INVITED_AGAIN)
def invitation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask a person of an imported list to join; all links expire when the address is deleted."""
    asked_at = as_posted(session, mailer, delivery).context["asked_at"]
    at = datetime.fromtimestamp(asked_at, UTC)
    if at + CONFIRM_WITHIN <= now():
        raise SkipDelivery(State.EXPIRED)
    return _asking(session, mailer, delivery, at)


def _asking(session: Session, mailer: Mailer, delivery: Delivery, at: datetime) -> Email:
    """Return an email that asks to confirm, with links valid from `at`."""
    letter = unless_suppressed(session, mailer, delivery)
    language, link, public_id = letter.language, mailer.links.signed, letter.context["member"]
    never = mailer.keys.index.link_secret(proven.NEVER, f"{public_id}/{folded(letter.to)}")
    name = letter.context["secret"] + public_id + never
    return letter.saying(
        confirm_url=link("subscriptions.confirm", Purpose.CONFIRM, name, at, language),
        not_me_url=link("subscriptions.not_me", Purpose.REFUSE, public_id + never, at, language),
        expires=at + CONFIRM_WITHIN,
    )


@writes(self_service_tasks.MY_GROUPS)
def link_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email the link to “My groups”, whose half hour starts now."""
    letter = notes_email(session, mailer, delivery)
    if now() > delivery.created_at + LINK_MAX_AGE:
        raise SkipDelivery(State.EXPIRED)
    own = ManageSession.secret_hash == secret_hash(letter.context["secret"])
    update_if_free(session, ManageSession, own, expires_at=now() + LINK_MAX_AGE)
    return letter


@writes(self_service_tasks.EMAIL_AGAIN)
def email_again_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email the link that lifts a suppression; the suppression does not stop this email."""
    letter, at = as_posted(session, mailer, delivery), delivery.created_at
    purpose = Purpose.EMAIL_AGAIN
    until = at + timedelta(seconds=purpose.max_age or 0) + TIME_FOR_THE_WORKER
    permission = suppressions.lift_permission(
        session, mailer.keys.index, normalise(letter.to), until
    )
    if permission is None:
        raise SkipDelivery(State.WITHDRAWN)
    return with_link(mailer, letter, "self_service.email_again", purpose, at, permission)


@writes(self_service_tasks.NO_GROUPS)
def notes_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody for which groups they wait, each with a link that withdraws the request."""
    letter = unless_suppressed(session, mailer, delivery)
    link, at, language = mailer.links.signed, delivery.created_at, letter.language
    return letter.saying(
        notes=[
            (name, link("waiting_list.forget", Purpose.FORGET_NOTE, public_id, at, language))
            for name, public_id in letter.context["notes"]
        ]
    )


@writes(self_service_tasks.COPY)
def copy_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email people a copy of the data stored about them."""
    letter, keyring = unless_suppressed(session, mailer, delivery), mailer.keys
    identity = folded(letter.to)
    rows = rows_of(session, keyring, Subscription, identity)
    return letter.saying(
        address=letter.to,
        held=[_status_text(keyring, each, letter.language) for each in rows],
        notes=[
            (each.group.name_in_emails, noon_utc(each.kept_until))
            for each in rows_of(session, keyring, WaitlistEntry, identity)
        ],
        messages=self_service_tasks.messages_of(session, mailer.keys.opener, identity),
    )


def _status_text(keyring: Keyring, subscription: Subscription, reader: str) -> dict[str, object]:
    return {
        "group": subscription.group.name_in_emails,
        "first_name": first_name(keyring, subscription),
        "language": i18n.language_name(subscription.language, reader),
        "requested_at": subscription.requested_at,
        "confirmed_at": subscription.confirmed_at,
        "ended_at": subscription.ended_at,
        "is_unreachable": subscription.is_unreachable,
        "paused_until": subscription.pause,
        "is_reminded": subscription.is_reminded,
        "is_introduced": subscription.wrapped_introduction is not None,
    }


@writes(self_service_tasks.NEW_ADDRESS)
def confirm_change_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask to confirm a new address; neither the old one nor a group is named."""
    letter = unless_suppressed(session, mailer, delivery)
    at = signed_from(delivery, Purpose.CHANGE_ADDRESS)
    own = AddressChange.id == delivery.about_id, AddressChange.created_at < at
    update_if_free(session, AddressChange, *own, created_at=at)
    return with_link(mailer, letter, "address_change.confirm", Purpose.CHANGE_ADDRESS, at)


@writes(tasks.STAFF_CODE)
def code_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a staff code; the email neither names a group nor links to the page."""
    letter = unless_suppressed(session, mailer, delivery)
    expires = datetime.fromtimestamp(int(letter.context["until"]), UTC)
    if expires < now():
        raise SkipDelivery(State.EXPIRED)
    return letter.saying(code=in_fours(letter.context["code"]), expires=expires)


writes(self_service_tasks.ERASED, self_service_tasks.MOVED, tasks.REMOVED)(unless_suppressed)
writes(tasks.BAR_CHANGED)(as_posted)
