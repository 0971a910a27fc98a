"""Do the jobs of sign-up: open them, apply limits, ask for the email."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import rate_limits
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring
from belong_mail.core.rate_limits import (
    CONFIRM_MEMBER_RATE,
    CONFIRM_MEMBER_RATE_ALL_SOURCES,
    CONFIRM_PERSON_RATE,
    CONFIRM_PERSON_RATE_ALL_SOURCES,
    CONFIRMATION_GAP,
    CONFIRMATION_GAP_RATE,
    REMOVAL_RATE,
)
from belong_mail.core.tokens import name_of
from belong_mail.delivery import outbox, suppressions
from belong_mail.delivery.mailer import Rows, post_to_address
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import JobWork, Refused, Work, does
from belong_mail.groups.models import Group
from belong_mail.mail import address
from belong_mail.members import erasure
from belong_mail.members.jobs import FinishConfirmation, Join, RemoveAddress, Signup
from belong_mail.members.models import BarredAddress, PendingConfirmation, Subscription
from belong_mail.members.service import BAR, LET_IN, REMOVALS
from belong_mail.members.wrapped_fields import (
    address_of,
    indexes_of,
    is_genuine,
    wrap_address,
    wrap_field,
)

CONFIRM, ALREADY = "confirm-subscription", "already-member"
REMOVED = "removed-by-office"
# The mails that ask for a confirmation.
CONFIRMATION_KINDS = (CONFIRM, "group-starts")
MAX_WAIT = timedelta(days=1)
# So soon the worker has read that an invitation was accepted.
TIME_TO_READ_ACCEPTANCE = timedelta(hours=1)


@does(Join)
def join(work: JobWork, asked: Join) -> None:
    """Ask for the mail that confirms a sign-up.

    Raises nothing for a known, barred or too often mailed address: silence or delay is the answer.
    """
    group = group_of(work, asked)
    work.require_staff(asked.address)
    let_in(work.session, work.keys, group, asked)


def let_in(
    session: Session,
    keyring: Keyring,
    group: Group,
    wanted: Signup,
    kind: str = CONFIRM,
) -> None:
    """Ask the owner of an admitted address to confirm, by an email of a kind that does.

    Members hear that they are in, and people who want no email hear nothing.
    """
    identity = address.normalise(wanted.address)
    if not group.is_open or suppressions.is_suppressed(session, keyring.index, identity):
        return
    member = ask_confirmation(session, keyring, group, wanted, kind)
    if member is not None:
        _say_already(session, keyring, member, wanted.source)


def group_of(work: JobWork, asked: Signup) -> Group:
    """Return the group of a sign-up; raise DecryptionError when it was typed for another one."""
    group = work.session.get_one(Group, work.job.group_id)
    if asked.group != group.public_id:
        raise DecryptionError(asked.kind)
    return group


def ask_confirmation(
    session: Session, keyring: Keyring, group: Group, signup: Signup, kind: str
) -> Subscription | None:
    """Ask by an email of this kind to confirm a sign-up; return a subscription that is active.

    A barred address gets nothing.
    """
    identity = address.normalise(signup.address)
    if is_barred(session, keyring.index, group, identity):
        return None
    subscription = find_verified(session, keyring, group, identity)
    if subscription and erasure.is_being_erased(session, keyring, identity, subscription.public_id):
        erasure.forget_subscriptions(session, [subscription])
        subscription = None
    if subscription is None:
        subscription = start_subscription(session, keyring, group, signup)
        _post_confirmation(session, keyring, subscription, signup, kind)
        return None
    if subscription.is_suppressed:
        _reset(subscription)
    if subscription.is_active:
        return subscription
    waiting = outbox.waiting(session, CONFIRMATION_KINDS, subscription.id)
    if waiting is None or not _join_waiting(session, keyring, subscription, signup, waiting):
        _post_confirmation(session, keyring, subscription, signup, kind)
    return None


def is_barred(session: Session, index: BlindIndex, group: Group, identity: str) -> bool:
    """Tell whether the office keeps a normalised address out of a group."""
    key = group.id, index.barred(group.public_id, identity)
    return session.get(BarredAddress, key) is not None


def find_verified(
    session: Session, keyring: Keyring, group: Group, identity: str
) -> Subscription | None:
    """Find a normalised address's subscription; raise DecryptionError when the row is another's.

    It was found by its index, and opens only if that is its address's.
    """
    subscription = find_by_address(session, keyring.index, group, identity)
    if subscription is not None:
        address_of(keyring, subscription)
    return subscription


def _reset(subscription: Subscription) -> None:
    """Reset a row whose owner wanted no email at all, and has lifted that since.

    A former membership counts for nothing: they must confirm like anybody.
    """
    subscription.is_suppressed = subscription.is_reminded = False
    subscription.confirmed_at = subscription.ended_at = subscription.paused_until = None
    subscription.wrapped_introduction = None


def find_by_address(
    session: Session, index: BlindIndex, group: Group, identity: str
) -> Subscription | None:
    """Find the subscription that claims a normalised address; `find_verified` checks the claim."""
    found = select(Subscription).where(
        Subscription.group_id == group.id,
        Subscription.address_index == index.member(group.public_id, identity),
    )
    return session.scalar(found)


def start_subscription(
    session: Session, keyring: Keyring, group: Group, signup: Signup
) -> Subscription:
    """Make a subscription that waits for its confirmation; it is written with that."""
    public_id = new_public_id()
    identity = address.normalise(signup.address)
    subscription = Subscription(
        public_id=public_id,
        group=group,
        **indexes_of(keyring, group, identity),
        wrapped_address=wrap_address(keyring, signup.address, public_id, group),
        language=signup.language,
    )
    session.add(subscription)
    return subscription


@does(FinishConfirmation)
def complete_confirmation(work: JobWork, asked: FinishConfirmation) -> None:
    """Give a membership the name of the sign-up that began it, and its leads what that tells them.

    A person who has left since has no sign-up any more.
    """
    session = work.session
    found = select(PendingConfirmation).where(PendingConfirmation.confirm_id == asked.confirm_id)
    pending = session.scalar(
        found.where(PendingConfirmation.subscription_id == work.job.subscription_id)
    )
    if pending is None or not pending.subscription.is_active:
        raise Refused
    subscription = pending.subscription
    if asked.is_new:
        subscription.wrapped_name = pending.wrapped_name
        rate_limits.forget(session, *_own_keys(work.keys, subscription))
        outbox.post(session, "welcome-member", subscription_id=subscription.id)
    introduction, pending.wrapped_introduction = pending.wrapped_introduction, None
    leads = accounts.leads_of(session, subscription.group)
    if introduction is None or not leads:
        return
    subscription.wrapped_introduction = introduction
    for lead in leads:
        due_at = _when_to_introduce(session, work.keys, lead, subscription.group)
        outbox.post(
            session,
            "introduce-member",
            account_id=lead.id,
            about_id=subscription.id,
            due_at=due_at,
        )


def _when_to_introduce(
    session: Session, keyring: Keyring, lead: Account, group: Group
) -> datetime | None:
    """Return when a lead may hear of a new member: at once, or a day after they accepted."""
    if not invitations.is_proven_lead(session, keyring.opener, lead, group):
        return None  # it is withdrawn as it is written
    begins = invitations.introduced_from(session, keyring.opener, lead, group)
    if begins is None:
        return now() + invitations.WAIT_AFTER_ACCEPTING + TIME_TO_READ_ACCEPTANCE
    return begins if begins > now() else None


def never_mail(work: JobWork) -> str | None:
    """Leave an address alone in every group; return its normal form, if it is still known."""
    session, keyring = work.session, work.keys
    subscription = session.get(Subscription, work.job.subscription_id)
    if subscription is None:
        return None
    identity = address.normalise(address_of(keyring, subscription))
    suppressions.suppress(session, keyring.index, identity, suppressions.BY_REQUEST)
    for group in session.scalars(select(Group)):
        other = find_by_address(session, keyring.index, group, identity)
        if other is not None and is_genuine(keyring, other):
            other.is_suppressed = True
    return identity


def _say_already(
    session: Session, keyring: Keyring, subscription: Subscription, source: str
) -> None:
    """Tell a member that they are in, as the page could not: as often as others confirm."""
    waiting = outbox.waiting(session, (ALREADY,), subscription.id)
    if waiting is not None:
        _ask_sooner(session, keyring, subscription, source, waiting)
        return
    due_at = _when_to_ask(session, keyring, subscription, source)
    _post_to_member(session, keyring, subscription, ALREADY, subscription.language, due_at)


def _post_confirmation(
    session: Session, keyring: Keyring, subscription: Subscription, signup: Signup, kind: str
) -> None:
    """Ask for an email that confirms this sign-up."""
    due_at = _when_to_ask(session, keyring, subscription, signup.source)
    secret = new_public_id()
    pending = PendingConfirmation(subscription=subscription, confirm_id=name_of(secret))
    _fill(keyring, pending, subscription, signup)
    session.add(pending)
    post_question(session, keyring, pending, kind, secret, due_at)


def post_question(
    session: Session,
    keyring: Keyring,
    pending: PendingConfirmation,
    kind: str,
    secret: str,
    due_at: datetime | None = None,
) -> None:
    """Ask for an email that asks whether its reader wants to join, by a link with a secret."""
    session.flush()
    group = pending.subscription.group
    _post_to_member(
        session,
        keyring,
        pending.subscription,
        kind,
        pending.language,
        due_at,
        pending.id,
        secret=secret,
        slug=group.slug,
        asked_at=pending.created_at.timestamp(),
    )


def _post_to_member(
    session: Session,
    keyring: Keyring,
    subscription: Subscription,
    kind: str,
    language: str,
    due_at: datetime | None = None,
    about_id: int | None = None,
    **said: Any,
) -> None:
    """Ask for an email, fixed now, to a member or to a person who may become one."""
    post_to_address(
        session,
        keyring,
        kind,
        address_of(keyring, subscription),
        language,
        due_at,
        Rows(subscription_id=subscription.id, about_id=about_id),
        member=subscription.public_id,
        group=subscription.group.name_in_emails,
        **said,
    )


def _join_waiting(
    session: Session,
    keyring: Keyring,
    subscription: Subscription,
    signup: Signup,
    waiting: Delivery,
) -> bool:
    """Give this sign-up to a confirmation that has not left yet; False where there is none."""
    found = select(PendingConfirmation).where(
        PendingConfirmation.subscription_id == subscription.id
    )
    pending = session.scalars(found.order_by(PendingConfirmation.id.desc())).first()
    if pending is None:
        return False
    _fill(keyring, pending, subscription, signup)
    _ask_sooner(session, keyring, subscription, signup.source, waiting)
    return True


def _fill(
    keyring: Keyring, pending: PendingConfirmation, subscription: Subscription, signup: Signup
) -> None:
    """Wrap what was typed, each for its place in the subscription."""
    pending.language = signup.language
    public_id = subscription.public_id
    pending.wrapped_name = (
        wrap_field(keyring, signup.first_name, "wrapped_name", public_id)
        if signup.first_name
        else None
    )
    pending.wrapped_introduction = (
        wrap_field(keyring, introduction(signup), "wrapped_introduction", public_id)
        if signup.is_introduced
        else None
    )


def introduction(signup: Signup) -> str:
    return json.dumps({"first_name": signup.first_name, "answers": signup.answers})


def _when_to_ask(
    session: Session, keyring: Keyring, subscription: Subscription, source: str
) -> datetime:
    """Count one confirmation and return when it may go out."""
    at = now()
    due_at = max(
        *(
            rate_limits.record_use(session, key, rate, at)
            for key, rate in _source_allowances(keyring, subscription, source)
        ),
        _use_overall_allowance(session, keyring, subscription, at),
    )
    gap, _ = _own_keys(keyring, subscription)
    return rate_limits.record_use(session, gap, CONFIRMATION_GAP_RATE, due_at)


def _own_keys(keyring: Keyring, subscription: Subscription) -> tuple[bytes, bytes]:
    """Name what is counted of one member: the gap between two emails, and all that was asked."""
    limited, public_id = keyring.index.limited, subscription.public_id
    return limited(f"confirm-gap/{public_id}"), limited(f"confirm/{public_id}")


def _ask_sooner(
    session: Session, keyring: Keyring, subscription: Subscription, source: str, waiting: Delivery
) -> None:
    """Let a confirmation that waits for another source's limits out when this one's allow it."""
    at = now()
    is_held = waiting.state == State.QUEUED and waiting.created_at > at + CONFIRMATION_GAP
    if not is_held or not rate_limits.try_uses(
        session, _source_allowances(keyring, subscription, source), at
    ):
        return
    due_at = _use_overall_allowance(session, keyring, subscription, at)
    if due_at < waiting.created_at:
        waiting.due_at = waiting.created_at = due_at


def _source_allowances(
    keyring: Keyring, subscription: Subscription, source: str
) -> list[tuple[bytes, rate_limits.Rate]]:
    """List what a source may ask for one member and for one person."""
    identity = address.normalise(address_of(keyring, subscription))
    name = keyring.index.limited
    return [
        (name(f"confirm/{source}/{subscription.public_id}"), CONFIRM_MEMBER_RATE),
        (name(f"confirm/{source}/{identity}"), CONFIRM_PERSON_RATE),
    ]


def _use_overall_allowance(
    session: Session, keyring: Keyring, subscription: Subscription, at: datetime
) -> datetime:
    """Count one confirmation for all sources; over a day's wait it is that, and costs nothing."""
    _, of_member = _own_keys(keyring, subscription)
    of_person = keyring.index.limited(address.normalise(address_of(keyring, subscription)))
    uses = (
        (of_member, CONFIRM_MEMBER_RATE_ALL_SOURCES),
        (of_person, CONFIRM_PERSON_RATE_ALL_SOURCES),
    )
    due = (rate_limits.try_use(session, key, rate, at, MAX_WAIT) for key, rate in uses)
    return max(each or at + MAX_WAIT for each in due)


@does(RemoveAddress)
def receive_removal(work: Work, asked: RemoveAddress) -> None:
    """Do what the office asked for with an address; tell its owner if they were here.

    An intruder in the web can ask for it as well: for few addresses a day, and each person
    concerned hears of it.
    """
    session, keys = work.session, work.keys
    group = session.scalar(select(Group).where(Group.public_id == asked.group))
    if group is None:
        raise Refused
    work.use(REMOVALS, REMOVAL_RATE)
    identity = address.normalise(asked.address)
    key = group.id, keys.index.barred(group.public_id, identity)
    barred = session.get(BarredAddress, key)
    if asked.what == LET_IN:
        if barred is not None:
            session.delete(barred)
        return
    if asked.what == BAR and barred is None:
        session.add(BarredAddress(group_id=key[0], address_index=key[1]))
    _take_out(session, keys, group, identity)


def _take_out(session: Session, keyring: Keyring, group: Group, identity: str) -> None:
    """Delete a membership, so that no link and no one who writes rows brings it back."""
    subscription = find_verified(session, keyring, group, identity)
    if subscription is None:
        return
    to, language = address_of(keyring, subscription), subscription.language
    # Whether they are still in, or ever were, is the web's word.
    is_told = not subscription.is_suppressed
    erasure.forget_subscriptions(session, [subscription])
    if is_told:
        post_to_address(session, keyring, REMOVED, to, language, group=group.name)
