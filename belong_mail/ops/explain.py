"""`belong explain`: why an address got no email in answer to a form.

Kinds of email that differ for members and others count as one act, are limited alike, and are kept
equally long. The command decrypts every email that could be to the address, so that the time taken
reveals nothing, either.
"""

from typing import Final, NamedTuple

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.commands import address_argument, keys_here
from belong_mail.accounts.tasks import SIGN_IN
from belong_mail.contact import service as contact
from belong_mail.contact.tasks import RECEIPT
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.rate_limits import (
    ACKNOWLEDGEMENT_RATE,
    CONFIRM_PERSON_RATE_ALL_SOURCES,
    EMAIL_AGAIN_RATE,
    MY_GROUPS_RATE,
    SIGN_IN_STRANGERS_RATE,
    Rate,
    remaining,
)
from belong_mail.core.retention import ARGUMENTS_AGE
from belong_mail.core.terminal import refusing
from belong_mail.delivery.mailer import read_posted
from belong_mail.delivery.models import Delivery, Suppression
from belong_mail.delivery.suppressions import key_of
from belong_mail.mail.address import InvalidAddress, check, folded
from belong_mail.members import self_service_tasks, tasks
from belong_mail.web.context import services, transaction

HOUR_MINUTES = 60
# Only members get an answer at a personal address.
MY_GROUPS = "My groups"


class Act(NamedTuple):
    """A person's act, and the kinds of email that answer it; the output hides which was sent."""

    words: str
    kinds: tuple[str, ...]
    rate: Rate
    # The use of the rate limit for all sources.
    use: str
    # Which addresses get no email.
    silence: str


ACTS: Final = (
    Act(
        "Join a group",
        (*tasks.CONFIRMATION_KINDS, tasks.ALREADY),
        CONFIRM_PERSON_RATE_ALL_SOURCES,
        "confirm-person",
        "For one group two at once, then one a day, and a quarter of an hour between two. None to"
        " an address that the office bars, or that is not staff's and no code lets in.",
    ),
    Act(
        MY_GROUPS,
        (self_service_tasks.MY_GROUPS, self_service_tasks.NO_GROUPS),
        MY_GROUPS_RATE,
        "my-groups",
        "",
    ),
    Act(
        "Email me again",
        (self_service_tasks.EMAIL_AGAIN,),
        EMAIL_AGAIN_RATE,
        "email-again",
        "None unless its owner asked for no email ever.",
    ),
    Act(
        "Sign in",
        (SIGN_IN,),
        SIGN_IN_STRANGERS_RATE,
        "sign-in-strangers",
        "None to who leads no group and is not of the office, or signs in by a passkey or the"
        " district's account.",
    ),
    Act(
        "Write to the office",
        (RECEIPT,),
        ACKNOWLEDGEMENT_RATE,
        "ack",
        "None to an address that is not staff's.",
    ),
)
LEFT_OUT = (
    "It is said alike of members and others. Newsletters, reminders and all that only members get"
    " are left out: no command looks up members. What was sent is known for a day. The page “My"
    " groups” shows its owner the rest."
)
TOLD_TOPIC = "An operator asked about an address"
TOLD = (
    "Someone who runs this site used the command `belong explain`. It says why an email address got"
    " no email: limits, and what was sent to it in the last day for what its owner did. It names no"
    " group and tells no member from others. If nobody asked for that, ask the people who run this"
    " site."
)


@click.command("explain")
@address_argument
def explain_command(address: str) -> None:
    """Say why an address got no email.

    Covers emails that answer what its owner did: their times, limits, the “never email” mark and
    the relay's answers. Names no group, leaves newsletters out, and answers alike for members and
    others. The trail and the office's inbox hear that it was asked. Without ADDRESS, it asks for
    one, so that no log of this machine has it.
    """
    keys = keys_here()
    with refusing(InvalidAddress, words="This is not an email address.", kind=click.BadParameter):
        identity = folded(check(address))
    staff = services().settings.staff
    with transaction() as session:
        lines = explain(session, keys, identity, is_staff=staff.admits(identity))
        told = contact.ContactData(TOLD_TOPIC, TOLD)
        contact.receive(session, services().sealer, contact.new_reference(), told, now())
    click.echo("\n".join(lines))


def explain(session: Session, keys: Keyring, identity: str, *, is_staff: bool) -> list[str]:
    """Describe an address: its suppression, rate limits, and the emails that answered its owner."""
    since = session.scalar(
        select(Suppression.since).where(Suppression.address_index == key_of(keys.index, identity))
    )
    mark = f"yes, since {since}. Only “My groups” reaches it." if since else "no."
    lines, sent = [f"Never email: {mark}"], _sent_to(session, keys.opener, identity)
    for act in ACTS:
        if act.words == MY_GROUPS and not is_staff:
            lines.append(f"{act.words}: nothing is told of an address that is not staff's.")
            continue
        left = remaining(session, keys.index.limited(act.use, identity), act.rate, now())
        state = "free" if left else "used up"
        lines.append(f"{act.words}: {_allowance(act.rate)}; {state} now. {act.silence}".rstrip())
        lines += [_line(each) for each in sent if each.kind in act.kinds] or ["  No email."]
    return [*lines, LEFT_OUT]


def _sent_to(session: Session, opener: Opener, identity: str) -> list[Delivery]:
    """Return the last day's answers to an address, by decrypting all of them."""
    found = select(Delivery).where(
        Delivery.kind.in_([kind for act in ACTS for kind in act.kinds]),
        Delivery.sealed_arguments.is_not(None),
        Delivery.created_at > now() - ARGUMENTS_AGE,
    )
    rows = session.scalars(found.order_by(Delivery.created_at)).all()
    return [each for each in rows if _recipient(opener, each) == identity]


def _recipient(opener: Opener, delivery: Delivery) -> str:
    """Return the mailbox of an email's recipient, or "" if it cannot be decrypted."""
    try:
        return folded(read_posted(opener, delivery)[0])
    except (DecryptionError, ValueError):
        return ""


def _allowance(rate: Rate) -> str:
    minutes = rate.per.total_seconds() / rate.burst / 60
    each = f"{minutes / 60:g} hours" if minutes > HOUR_MINUTES else f"{minutes:g} minutes"
    return f"{rate.burst} at once, then one each {each}"


def _line(delivery: Delivery) -> str:
    zone = services().settings.timezone
    answer = [str(each) for each in (delivery.code, delivery.enhanced, delivery.phrase) if each]
    again = f"; due {delivery.due_at.astimezone(zone):%H:%M}" if delivery.due_at else ""
    at = delivery.created_at.astimezone(zone)
    return f"  {at:%Y-%m-%d %H:%M} {' '.join([delivery.state, *answer])}{again}"
