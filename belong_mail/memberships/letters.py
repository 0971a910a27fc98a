"""The letters about one's memberships: the link, that there are none, the copy, the receipt."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.db import now
from belong_mail.interests import receiving as interests
from belong_mail.interests.service import noon
from belong_mail.mail.address import normalise
from belong_mail.memberships import receiving
from belong_mail.memberships.models import Sheet
from belong_mail.memberships.service import AGE, digest
from belong_mail.outbox import suppressions
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.subscriptions.models import Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose


def link(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Write the link; its half hour begins when the mail leaves."""
    letter, said = plain(session, desk, delivery)
    found = select(Sheet).where(Sheet.secret_hash == digest(said["secret"]))
    sheet = session.scalar(found)
    if sheet is None or sheet.expires_at < now():
        raise NotSent(State.EXPIRED)
    sheet.expires_at = now() + AGE
    url = desk.links.page("memberships.sheet", letter.language, secret=said["secret"])
    context = {"sheet_url": url, "notes": _notes(session, desk, delivery, letter)}
    return Letter(letter.to, letter.language, context)


def none(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    letter, _said = plain(session, desk, delivery)
    url = desk.links.page("directory.index", letter.language)
    context = {"directory_url": url, "notes": _notes(session, desk, delivery, letter)}
    return Letter(letter.to, letter.language, context)


def receipt(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    letter, _said = plain(session, desk, delivery)
    return letter


def copy(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Collect what is held about a person, to their own address."""
    letter, _said = plain(session, desk, delivery)
    keyring = Keyring(desk.opener, desk.index)
    rows = receiving.all_of(session, desk.index, normalise(letter.to))
    context = {
        "address": letter.to,
        "held": [_in_words(keyring, each) for each in rows],
        "notes": [
            (each.group.name, noon(each.kept_until))
            for each in interests.all_of(session, desk.index, normalise(letter.to))
        ],
        "messages": receiving.messages_of(session, desk.opener, normalise(letter.to)),
    }
    return Letter(letter.to, letter.language, context)


def plain(session: Session, desk: Desk, delivery: Delivery) -> tuple[Letter, dict[str, str]]:
    """Address a letter to whom its delivery is for; return beside it what only it says."""
    to, said = receiving.read(desk.opener, delivery)
    if suppressions.covers(session, desk.index, normalise(to)):
        raise NotSent(State.SUPPRESSED)
    return Letter(to, said["language"]), said


def _notes(
    session: Session, desk: Desk, delivery: Delivery, letter: Letter
) -> list[tuple[str, str]]:
    """List the groups a person waits for, each with the link that takes this back."""
    at, language = delivery.created_at, letter.language
    return [
        (
            each.group.name,
            desk.links.signed(
                "interests.forget", Purpose.FORGET_NOTE, each.public_id, at, language
            ),
        )
        for each in interests.all_of(session, desk.index, normalise(letter.to))
    ]


def _in_words(keyring: Keyring, subscription: Subscription) -> dict[str, object]:
    return {
        "group": subscription.group.name,
        "first_name": keyring.name(subscription),
        "language": languages.NAMES[subscription.language],
        "requested_at": subscription.requested_at,
        "confirmed_at": subscription.confirmed_at,
        "ended_at": subscription.ended_at,
        "is_unreachable": subscription.is_unreachable,
        "paused_until": subscription.pause,
        "is_reminded": subscription.is_reminded,
        "is_introduced": subscription.wrapped_introduction is not None,
    }
