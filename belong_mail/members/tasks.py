"""Do the jobs of sign-up and waiting list: open them, apply limits, ask for the email."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import rate_limits
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, UnknownKey
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
from belong_mail.delivery.mailer import Rows
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import JobWork, Refused, Work, does
from belong_mail.groups.models import Group
from belong_mail.groups.service import UNDO_LAUNCH
from belong_mail.mail import address
from belong_mail.members import erasure
from belong_mail.members.jobs import (
    FinishConfirmation,
    Join,
    NeverMail,
    RemoveAddress,
    Signup,
    WaitForGroup,
)
from belong_mail.members.models import (
    BarredAddress,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.service import BAR, LET_IN, REMOVALS, last_day
from belong_mail.members.wrapped_fields import (
    NOTE_COLUMN,
    address_of,
    find_by_address,
    indexes_of,
    rows_of,
    wrap_address,
    wrap_field,
)

CONFIRM, ALREADY = "confirm-subscription", "already-member"
REMOVED = "removed-by-office"
# The mails that ask for a confirmation.
CONFIRMATION_KINDS = (CONFIRM, "group-starts")
MAX_WAIT = timedelta(days=1)
log = logging.getLogger(__name__)


@does(Join)
def join(work: JobWork, asked: Join) -> None:
    """Ask for the mail that confirms a sign-up.

    Raises nothing for a known, barred or too often mailed address: silence or delay is the answer.
    """
    group = group_of(work, asked)
    work.require_staff(asked.address)
    let_in(work, group, asked)


def group_of(work: JobWork, asked: Signup) -> Group:
    """Return the group of a sign-up; raise DecryptionError when it was typed for another one."""
    group = work.session.get_one(Group, work.job.group_id)
    if asked.group != group.public_id:
        raise DecryptionError(asked.kind)
    return group


def let_in(work: Work, group: Group, wanted: Signup, kind: str = CONFIRM) -> None:
    """Ask the owner of an admitted address to confirm, by an email of a kind that does.

    Members hear that they are in; barred addresses, and people who want no email, hear nothing.
    """
    session, keys, identity = work.session, work.keys, address.normalise(wanted.address)
    if not group.is_open or suppressions.is_suppressed(session, keys.index, identity):
        return
    if is_barred(session, keys.index, group, identity):
        return
    subscription = find_verified(session, keys, group, identity)
    if subscription and erasure.is_being_erased(session, keys, identity, subscription.public_id):
        erasure.forget_subscriptions(session, [subscription])
        subscription = None
    if subscription is None:
        _post_confirmation(work, start_subscription(session, keys, group, wanted), wanted, kind)
        return
    if subscription.is_suppressed:
        _reset(subscription)
    if subscription.is_active:
        _say_already(work, subscription, wanted.source)
        return
    waiting = outbox.waiting(session, CONFIRMATION_KINDS, subscription.id)
    if waiting is None or not _join_waiting(work, subscription, wanted, waiting):
        _post_confirmation(work, subscription, wanted, kind)


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
    subscription = find_by_address(session, keyring.index, group, identity, Subscription)
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


def start_subscription(
    session: Session, keyring: Keyring, group: Group, signup: Signup
) -> Subscription:
    """Make a subscription that waits for its confirmation; it is written with that."""
    public_id = new_public_id()
    subscription = Subscription(
        public_id=public_id,
        group=group,
        **indexes_of(keyring, group, address.normalise(signup.address)),
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
        due_at = _when_to_introduce(work, lead, subscription.group)
        about = subscription.id
        outbox.post(session, "introduce-member", account_id=lead.id, about_id=about, due_at=due_at)


def _when_to_introduce(work: Work, lead: Account, group: Group) -> datetime | None:
    """Return when a lead may hear of a new member: at once, or a day after they accepted."""
    begins = invitations.introduced_from(work.session, work.keys.opener, lead, group)
    return begins if begins and begins > work.at else None  # else withdrawn as it is written


@does(NeverMail)
def never_mail(work: JobWork, _asked: NeverMail) -> None:
    """Leave an address alone in every group, also in those that have not started.

    Its notes stay until then: by which of them went an intruder would learn who asked for this.
    """
    session, keys = work.session, work.keys
    subscription = session.get(Subscription, work.job.subscription_id)
    if subscription is None:
        raise Refused
    identity = address.normalise(address_of(keys, subscription))
    suppressions.suppress(session, keys.index, identity, suppressions.BY_REQUEST)
    for each in rows_of(session, keys, Subscription, identity):
        each.is_suppressed = True


def _say_already(work: Work, subscription: Subscription, source: str) -> None:
    """Tell a member that they are in, as the page could not: as often as others confirm."""
    waiting = outbox.waiting(work.session, (ALREADY,), subscription.id)
    if waiting is not None:
        _ask_sooner(work, subscription, source, waiting)
        return
    due_at = _when_to_ask(work, subscription, source)
    _post_to_member(work, subscription, ALREADY, subscription.language, due_at)


def _post_confirmation(work: Work, subscription: Subscription, signup: Signup, kind: str) -> None:
    """Ask for an email that confirms this sign-up."""
    due_at = _when_to_ask(work, subscription, signup.source)
    secret = new_public_id()
    pending = PendingConfirmation(subscription=subscription, confirm_id=name_of(secret))
    _fill(work.keys, pending, signup)
    work.session.add(pending)
    post_question(work, pending, kind, secret, due_at)


def post_question(
    work: Work,
    pending: PendingConfirmation,
    kind: str,
    secret: str,
    due_at: datetime | None = None,
) -> None:
    """Ask for an email that asks whether its reader wants to join, by a link with a secret."""
    work.session.flush()
    subscription = pending.subscription
    said = {
        "secret": secret,
        "slug": subscription.group.slug,
        "asked_at": pending.created_at.timestamp(),
    }
    _post_to_member(work, subscription, kind, pending.language, due_at, pending.id, **said)


def _post_to_member(
    work: Work,
    subscription: Subscription,
    kind: str,
    language: str,
    due_at: datetime | None = None,
    about_id: int | None = None,
    **said: Any,
) -> None:
    """Ask for an email, fixed now, to a member or to a person who may become one."""
    to, rows = address_of(work.keys, subscription), Rows(subscription.id, about_id=about_id)
    said |= {"member": subscription.public_id, "group": subscription.group.name_in_emails}
    work.post(kind, to, language, due_at, rows, **said)


def _join_waiting(
    work: Work, subscription: Subscription, signup: Signup, waiting: Delivery
) -> bool:
    """Give this sign-up to a confirmation that has not left yet; False where there is none."""
    found = select(PendingConfirmation).where(
        PendingConfirmation.subscription_id == subscription.id
    )
    pending = work.session.scalars(found.order_by(PendingConfirmation.id.desc())).first()
    if pending is None:
        return False
    _fill(work.keys, pending, signup)
    _ask_sooner(work, subscription, signup.source, waiting)
    return True


def _fill(keyring: Keyring, pending: PendingConfirmation, signup: Signup) -> None:
    """Wrap what was typed, each for its place in the subscription."""
    said = json.dumps({"first_name": signup.first_name, "answers": signup.answers})
    typed = {
        "wrapped_name": signup.first_name,
        "wrapped_introduction": said if signup.is_introduced else "",
    }
    pending.language = signup.language
    for column, words in typed.items():
        public_id = pending.subscription.public_id
        wrapped = wrap_field(keyring, words, column, public_id) if words else None
        setattr(pending, column, wrapped)


def _when_to_ask(work: Work, subscription: Subscription, source: str) -> datetime:
    """Count one confirmation and return when it may go out."""
    session, keyring = work.session, work.keys
    due_at = max(
        *(
            rate_limits.record_use(session, key, rate, work.at)
            for key, rate in _source_allowances(keyring, subscription, source)
        ),
        _use_overall_allowance(work, subscription),
    )
    gap, _ = _own_keys(keyring, subscription)
    return rate_limits.record_use(session, gap, CONFIRMATION_GAP_RATE, due_at)


def _own_keys(keyring: Keyring, subscription: Subscription) -> tuple[bytes, bytes]:
    """Name what is counted of one member: the gap between two emails, and all that was asked."""
    limited, public_id = keyring.index.limited, subscription.public_id
    return limited(f"confirm-gap/{public_id}"), limited(f"confirm/{public_id}")


def _ask_sooner(work: Work, subscription: Subscription, source: str, waiting: Delivery) -> None:
    """Let a confirmation that waits for another source's limits out when this one's allow it."""
    allowances = _source_allowances(work.keys, subscription, source)
    is_held = waiting.state == State.QUEUED and waiting.created_at > work.at + CONFIRMATION_GAP
    if not is_held or not rate_limits.try_uses(work.session, allowances, work.at):
        return
    due_at = _use_overall_allowance(work, subscription)
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


def _use_overall_allowance(work: Work, subscription: Subscription) -> datetime:
    """Count one confirmation for all sources; over a day's wait it is that, and costs nothing."""
    keyring, at = work.keys, work.at
    _, of_member = _own_keys(keyring, subscription)
    of_person = keyring.index.limited(address.normalise(address_of(keyring, subscription)))
    uses = (
        (of_member, CONFIRM_MEMBER_RATE_ALL_SOURCES),
        (of_person, CONFIRM_PERSON_RATE_ALL_SOURCES),
    )
    due = (rate_limits.try_use(work.session, key, rate, at, MAX_WAIT) for key, rate in uses)
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
    _take_out(work, group, identity)


def _take_out(work: Work, group: Group, identity: str) -> None:
    """Delete a membership, so that no link and no one who writes rows brings it back."""
    subscription = find_verified(work.session, work.keys, group, identity)
    if subscription is None:
        return
    to, language = address_of(work.keys, subscription), subscription.language
    # Whether they are still in, or ever were, is the web's word.
    is_told = not subscription.is_suppressed
    erasure.forget_subscriptions(work.session, [subscription])
    if is_told:
        work.post(REMOVED, to, language, group=group.name)


@does(WaitForGroup)
def keep_note(work: JobWork, asked: WaitForGroup) -> None:
    """Keep a note, once for each address and group, also of a person who wants no email.

    A missing note would tell who that is; `let_in` tells them nothing when the group starts.
    """
    session, keys, group = work.session, work.keys, group_of(work, asked)
    identity = address.normalise(asked.address)
    if group.is_ending:
        raise Refused
    work.require_staff(asked.address)
    note = find_by_address(session, keys.index, group, identity, WaitlistEntry)
    if note and erasure.is_being_erased(session, keys, identity, note.public_id):
        session.delete(note)
        session.flush()
        note = None
    if note is None:
        session.add(make_note(keys, group, asked))
    else:
        note.language, note.kept_until = asked.language, last_day()


def make_note(keyring: Keyring, group: Group, signup: Signup) -> WaitlistEntry:
    """Make the note of an address, wrapped for its row and group."""
    public_id = new_public_id()
    return WaitlistEntry(
        public_id=public_id,
        group=group,
        address_index=keyring.index.member(group.public_id, address.normalise(signup.address)),
        wrapped_address=wrap_address(keyring, signup.address, public_id, group, NOTE_COLUMN),
        language=signup.language,
        kept_until=last_day(),
    )


def notes_to_tell(session: Session, most: int) -> list[int]:
    """List notes, by id, for groups that have started, for good."""
    started = and_(
        Group.established_at <= now() - UNDO_LAUNCH,
        Group.ends_at.is_(None),
        Group.retired_at.is_(None),
    )
    found = select(WaitlistEntry.id).join(Group).where(started).order_by(WaitlistEntry.id)
    return list(session.scalars(found.limit(most)))


def tell_launched(work: Work, note_id: int) -> None:
    """Ask for the one mail that says a group has started, and delete the note with it.

    The mail asks for a confirmation like any other, within the same limits, for nobody has shown
    yet that the address is theirs. Members are told that they are in: anyone may leave a note, and
    who sees the rows would learn of a membership by a silence. Barred addresses are told nothing.
    Raises UnknownKey: then the note stays.
    """
    session, keys = work.session, work.keys
    note = session.get(WaitlistEntry, note_id, with_for_update={"skip_locked": True})
    if note is None:
        return
    session.delete(note)
    try:
        to = address_of(keys, note)
    except UnknownKey:
        raise
    except DecryptionError:
        log.error("Waiting-list entry %d cannot be opened.", note_id)  # noqa: TRY400 - it names nobody
        return
    if not erasure.is_being_erased(session, keys, address.normalise(to), note.public_id):
        let_in(work, note.group, Signup(address=to, language=note.language), "group-starts")
