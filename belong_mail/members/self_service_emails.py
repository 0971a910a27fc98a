"""The emails of self-service: link, copy, receipt, address change."""

import json
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, read_posted, signed_from
from belong_mail.delivery.models import Delivery, State
from belong_mail.mail.address import normalise
from belong_mail.members import erasure, waitlist_tasks
from belong_mail.members import self_service_tasks as members_self_service_tasks
from belong_mail.members.locked_lists import LINK_MAX_AGE, digest
from belong_mail.members.models import AddressChange, ManageSession, Subscription
from belong_mail.members.self_service_tasks import ADDRESS_CHANGE
from belong_mail.members.service import noon_utc
from belong_mail.members.wrapped_fields import first_name

# So much longer than its link a permission works, for the worker may be down when it is used.
TIME_FOR_THE_WORKER = timedelta(days=1)


def link_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Write the link; its half hour begins when the mail leaves."""
    letter, said = plain(session, mailer, delivery)
    found = select(ManageSession).where(ManageSession.secret_hash == digest(said["secret"]))
    manage_session = session.scalar(found)
    if manage_session is None or manage_session.expires_at < now():
        raise SkipDelivery(State.EXPIRED)
    manage_session.expires_at = now() + LINK_MAX_AGE
    url = mailer.links.page("self_service.manage", letter.language, secret=said["secret"])
    context = {"sheet_url": url, "notes": _waitlist(session, mailer, delivery, letter)}
    return Email(letter.to, letter.language, context)


def email_again_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Write the link that lifts “never email me”, to whom nothing else is written."""
    to, said = read_posted(mailer.opener, delivery)
    at = delivery.created_at
    until = at + timedelta(seconds=Purpose.EMAIL_AGAIN.max_age or 0)
    permission = suppressions.lift_permission(
        session, mailer.index, normalise(to), until + TIME_FOR_THE_WORKER
    )
    if permission is None:
        raise SkipDelivery(State.WITHDRAWN)
    url = mailer.links.signed(
        "self_service.email_again", Purpose.EMAIL_AGAIN, permission, at, said["language"]
    )
    return Email(to, said["language"], {"again_url": url, "expires": until})


def no_groups_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    letter, _said = plain(session, mailer, delivery)
    url = mailer.links.page("directory.index", letter.language)
    context = {"directory_url": url, "notes": _waitlist(session, mailer, delivery, letter)}
    return Email(letter.to, letter.language, context)


def erasure_receipt_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    letter, _said = plain(session, mailer, delivery)
    return letter


def copy_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Collect what is held about a person, to their own address."""
    letter, _said = plain(session, mailer, delivery)
    keyring = Keyring(mailer.opener, mailer.index)
    rows = members_self_service_tasks.subscriptions_of(session, keyring, normalise(letter.to))
    context = {
        "address": letter.to,
        "held": [_status_text(keyring, each, letter.language) for each in rows],
        "notes": [
            (each.group.name, noon_utc(each.kept_until))
            for each in waitlist_tasks.entries_of(session, keyring, normalise(letter.to))
        ],
        "messages": members_self_service_tasks.messages_of(
            session, mailer.opener, normalise(letter.to)
        ),
    }
    return Email(letter.to, letter.language, context)


def plain(session: Session, mailer: Mailer, delivery: Delivery) -> tuple[Email, dict[str, str]]:
    """Address an email to whom its delivery is for; return beside it what only it says."""
    to, said = read_posted(mailer.opener, delivery)
    if suppressions.is_suppressed(session, mailer.index, normalise(to)):
        raise SkipDelivery(State.SUPPRESSED)
    return Email(to, said["language"]), said


def _waitlist(
    session: Session, mailer: Mailer, delivery: Delivery, email: Email
) -> list[tuple[str, str]]:
    """List the groups a person waits for, each with the link that takes this back."""
    at, language = delivery.created_at, email.language
    keyring = Keyring(mailer.opener, mailer.index)
    identity = normalise(email.to)
    return [
        (
            each.group.name,
            mailer.links.signed(
                "waiting_list.forget", Purpose.FORGET_NOTE, each.public_id, at, language
            ),
        )
        for each in waitlist_tasks.entries_of(session, keyring, identity)
        if not erasure.is_being_erased(session, keyring, identity, each.public_id)
    ]


def _status_text(keyring: Keyring, subscription: Subscription, reader: str) -> dict[str, object]:
    return {
        "group": subscription.group.name,
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


CONFIRM_WITHIN = timedelta(seconds=Purpose.CHANGE_ADDRESS.max_age or 0)


def confirm_change_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Ask at the new address; neither the old one nor a group stands in it."""
    change = session.get(AddressChange, delivery.about_id)
    if change is None or not change.wrapped:
        raise SkipDelivery(State.WITHDRAWN)
    wanted = json.loads(mailer.opener.unwrap(change.wrapped, ADDRESS_CHANGE, change.public_id))
    if suppressions.is_suppressed(session, mailer.index, normalise(wanted["new"])):
        raise SkipDelivery(State.SUPPRESSED)
    at = signed_from(delivery, Purpose.CHANGE_ADDRESS)
    change.created_at = max(change.created_at, at)
    url = mailer.links.signed(
        "address_change.confirm", Purpose.CHANGE_ADDRESS, change.public_id, at, wanted["language"]
    )
    context = {"confirm_url": url, "expires": at + CONFIRM_WITHIN}
    return Email(wanted["new"], wanted["language"], context)


def removed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody that the office took their address out of a group, and how to object."""
    letter, said = plain(session, mailer, delivery)
    url = mailer.links.page("contact.write", letter.language)
    return Email(letter.to, letter.language, {"group": said["group"], "contact_url": url})


def address_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell the old address that it is no more in use: not by which it was replaced, nor where."""
    letter, _said = plain(session, mailer, delivery)
    url = mailer.links.page("contact.write", letter.language)
    return Email(letter.to, letter.language, {"contact_url": url})
