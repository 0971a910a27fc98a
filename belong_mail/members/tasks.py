"""The worker's functions for sign-up, staff codes, removal and waiting list."""

import json
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.orm import Session

from belong_mail.accounts.proven import holders, introduced_from, named_group
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, UnknownKey
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.rate_limits import (
    CONFIRM_MEMBER_RATE,
    CONFIRM_MEMBER_RATE_ALL_SOURCES,
    CONFIRM_PERSON_RATE,
    CONFIRM_PERSON_RATE_ALL_SOURCES,
    CONFIRMATION_GAP,
    CONFIRMATION_GAP_RATE,
    MAX_WAIT,
    REMOVAL_RATE,
    STAFF_CODE_RATE,
    STAFF_CODE_SOURCE_RATE,
    STAFF_CODE_USED_RATE,
)
from belong_mail.core.tokens import link_hash
from belong_mail.delivery import outbox, suppressions
from belong_mail.delivery.mailer import Rows
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import JobWork, Refused, Work, does, each_minute
from belong_mail.groups.models import Group
from belong_mail.groups.service import UNDO_LAUNCH
from belong_mail.mail import address
from belong_mail.members import erasure, proven
from belong_mail.members.counts import IS_WATCHED, count_watched
from belong_mail.members.jobs import (
    FinishConfirmation,
    Join,
    JoinByCode,
    NeverMail,
    RemoveAddress,
    SendStaffCode,
    Signup,
    WaitForGroup,
)
from belong_mail.members.models import (
    INTRODUCE,
    WELCOME,
    BarredAddress,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.service import BAR, LET_IN, RECORDED, REMOVALS, last_day
from belong_mail.members.staff_codes import end_of_day
from belong_mail.members.wrapped_fields import (
    NOTE_COLUMN,
    address_of,
    find_by_address,
    rows_of,
    wrap_address,
    wrap_field,
)

CONFIRM, ALREADY, STARTS = "confirm-subscription", "already-member", "group-starts"
REMOVED, BAR_CHANGED = "removed-by-office", "bar-changed"
STAFF_CODE = "staff-code"
# Kinds of email that ask to confirm a sign-up.
CONFIRMATION_KINDS = (CONFIRM, STARTS)
log = logging.getLogger(__name__)
each_minute("Leads see old numbers", exists().where(IS_WATCHED))(
    lambda work: count_watched(work.session)
)


@does(Join)
def join(work: JobWork, asked: Join) -> None:
    """Queue the email that asks to confirm a sign-up.

    A member gets another email, a barred address none, and an often emailed one a later one.
    """
    group = proven.group(work, asked)
    work.require_staff(asked.address)
    ask_to_confirm(work, group, asked)


@does(SendStaffCode)
def send_code(work: JobWork, asked: SendStaffCode) -> None:
    """Email a code to a staff address, if it may have one and the limits allow it.

    Barred people get none, so that they cannot come back with a personal address. The limits ignore
    plus tags.
    """
    if work.job.created_at < work.at - timedelta(hours=proven.HOURS_AFTER):
        raise Refused
    session, index, group = work.session, work.keys.index, named_group(work, asked.group)
    identity = address.folded(asked.address)
    work.require_staff(asked.address)
    if not (group.is_open and group.allows_personal_addresses):
        raise Refused
    if is_barred(session, index, group, identity):
        raise Refused
    uses = (
        (index.limited("staff-code-from", asked.source, identity), STAFF_CODE_SOURCE_RATE),
        (index.limited("staff-code-to", identity), STAFF_CODE_RATE),
    )
    if not rate_limits.try_uses(session, uses, end_of_day(now())):
        raise Refused
    hour = proven.hour_sent(work)
    code = proven.code_of(index, group, asked.nonce, hour)
    until = str((hour + proven.HOURS_AFTER + 1) * proven.HOUR_SECONDS)
    to = address.untagged(asked.address)
    work.post(STAFF_CODE, to, asked.language, code=code, until=until)


@does(JoinByCode)
def join_by_code(work: JobWork, asked: JoinByCode) -> None:
    """Ask a personal address to confirm, if its code is right and unused.

    Only a right code causes an email, so that no one can have us email strangers. The codes' own
    rate limits suffice, so confirmations are not counted by source.
    """
    group = proven.group_of_code(work, asked)
    if not group.allows_personal_addresses or not work.settings.staff.is_personal(asked.address):
        raise Refused
    # The key of a used code is a hash of its page's nonce, not of an address.
    key = work.keys.index.limited("staff-code-used", group.public_id, asked.nonce)
    if rate_limits.try_use(work.session, key, STAFF_CODE_USED_RATE, end_of_day(now())) is None:
        raise Refused
    ask_to_confirm(work, group, replace(asked, source=""))


def ask_to_confirm(work: Work, group: Group, wanted: Signup, kind: str = CONFIRM) -> None:
    """Queue the email that asks an address to confirm that it joins.

    Members get an email that says that they are members; barred and suppressed addresses get none.
    """
    session, keys, identity = work.session, work.keys, address.folded(wanted.address)
    if not group.is_open or suppressions.is_suppressed(session, keys.index, identity):
        return
    if is_barred(session, keys.index, group, identity):
        return
    subscription = proven.member(session, keys, group, identity)
    if subscription and erasure.is_being_erased(session, keys, identity, subscription):
        erasure.forget_subscriptions(session, [subscription])
        subscription = None
    if subscription is None:
        subscription = start_subscription(session, keys, group, wanted)
        session.flush()
    elif subscription.is_suppressed:
        _reset(subscription)
    limits = _limits(keys.index, group, identity, wanted.source)
    is_member = subscription.is_active
    waiting = outbox.waiting(
        session, (ALREADY,) if is_member else CONFIRMATION_KINDS, subscription.id
    )
    if waiting is not None and (is_member or _join_waiting(work, subscription, wanted)):
        _ask_sooner(work, limits, waiting)
        return
    due_at = _when_to_ask(work, limits)
    if is_member:
        _post_to_member(work, subscription, ALREADY, subscription.language, due_at)
    else:
        secret = new_public_id()
        pending = PendingConfirmation(subscription=subscription, confirm_id=link_hash(secret))
        _fill(keys, pending, wanted)
        session.add(pending)
        post_question(work, pending, kind, secret, due_at)


def is_barred(session: Session, index: BlindIndex, group: Group, identity: str) -> bool:
    """Return whether the office has barred a mailbox from a group."""
    return session.get(BarredAddress, _bar_key(index, group, identity)) is not None


def _bar_key(index: BlindIndex, group: Group, identity: str) -> tuple[int, bytes]:
    """Return the primary key of a barred mailbox."""
    return group.id, index.barred(group.public_id, identity)


def _reset(subscription: Subscription) -> None:
    """Reset a membership whose owner has lifted a suppression.

    Even if they were a member, they have to confirm.
    """
    subscription.is_suppressed = subscription.is_reminded = False
    subscription.confirmed_at = subscription.ended_at = subscription.paused_until = None
    subscription.wrapped_introduction = None


def start_subscription(
    session: Session, keyring: Keyring, group: Group, signup: Signup
) -> Subscription:
    """Create a membership without a confirmation, which the caller stores."""
    public_id = new_public_id()
    subscription = Subscription(
        public_id=public_id,
        group=group,
        address_index=keyring.index.member(group.public_id, address.folded(signup.address)),
        wrapped_address=wrap_address(keyring, signup.address, public_id, group),
        language=signup.language,
    )
    session.add(subscription)
    return subscription


@does(FinishConfirmation)
def complete_confirmation(work: JobWork, asked: FinishConfirmation) -> None:
    """Welcome a new member by the sign-up's name, and introduce them to the leaders if asked to.

    Does nothing if the member has left meanwhile.
    """
    session, pending = work.session, proven.confirmed(work, asked)
    subscription = pending.subscription
    is_welcomed = exists().where(
        Delivery.kind == WELCOME,
        Delivery.subscription_id == subscription.id,
        Delivery.created_at >= pending.created_at,
    )
    if not session.scalar(select(is_welcomed)):
        # Without a plus tag of version 1.0: the confirmed email went to the mailbox.
        to, place = address_of(work.keys, subscription), subscription.public_id
        subscription.wrapped_address = wrap_address(work.keys, to, place, subscription.group)
        subscription.wrapped_name = pending.wrapped_name
        gap, _, [of_member, _] = _limits(
            work.keys.index, subscription.group, address.folded(to), source=""
        )
        rate_limits.forget(session, gap[0], of_member[0])
        outbox.post(session, WELCOME, subscription_id=subscription.id)
    introduction, pending.wrapped_introduction = pending.wrapped_introduction, None
    leads = holders(session, work.keys.opener, subscription.group)
    if introduction is None or not leads:
        return
    subscription.wrapped_introduction = introduction
    for lead in leads:
        begins = introduced_from(session, work.keys.opener, lead, subscription.group)
        outbox.post(
            session,
            INTRODUCE,
            account_id=lead.id,
            about_id=subscription.id,
            # If rendered before the leader may see addresses, it would be withdrawn.
            due_at=begins if begins and begins > work.at else None,
        )


@does(NeverMail)
def never_mail(work: JobWork, asked: NeverMail) -> None:
    """Suppress an address, if the job has the secret of an email to it."""
    leave_alone(work.session, work.keys, proven.refusing(work, asked))


def leave_alone(session: Session, keys: Keyring, identity: str) -> None:
    """Suppress a normalised address, and mark its memberships in all groups.

    Its requests to be notified stay until their groups start: deleting them now would show an
    intruder whose they are.
    """
    suppressions.suppress(session, keys.index, identity)
    for each in rows_of(session, keys, Subscription, identity):
        each.is_suppressed = True


def post_question(
    work: Work,
    pending: PendingConfirmation,
    kind: str,
    secret: str,
    due_at: datetime | None = None,
) -> None:
    """Queue an email that asks to join, with the secret of its link."""
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
    """Queue an email that is fixed now to a member, or to someone who signed up.

    It goes to the mailbox itself: the plus tag that an address of version 1.0 may have is dropped.
    """
    to = address.untagged(address_of(work.keys, subscription))
    rows = Rows(subscription.id, about_id=about_id)
    said |= {"member": subscription.public_id, "group": subscription.group.name_in_emails}
    work.post(kind, to, language, due_at, rows, **said)


def _join_waiting(work: Work, subscription: Subscription, signup: Signup) -> bool:
    """Replace the sign-up of an unsent confirmation; return False if there is none."""
    found = select(PendingConfirmation).where(
        PendingConfirmation.subscription_id == subscription.id
    )
    pending = work.session.scalars(found.order_by(PendingConfirmation.id.desc())).first()
    if pending is None:
        return False
    _fill(work.keys, pending, signup)
    return True


def _fill(keyring: Keyring, pending: PendingConfirmation, signup: Signup) -> None:
    """Store a sign-up's texts, each wrapped for its column of the subscription."""
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


Use = tuple[bytes, rate_limits.Rate]
# A confirmation's gap to the next one, and what one source and all sources may use.
Limits = tuple[Use, list[Use], list[Use]]


def _limits(index: BlindIndex, group: Group, identity: str, source: str) -> Limits:
    """Return the limits of a confirmation to a mailbox, with their keys."""
    name, key = group.public_id, index.limited
    gap = (key("confirm-gap", name, identity), CONFIRMATION_GAP_RATE)
    of_source = [
        (key("confirm-from", source, name, identity), CONFIRM_MEMBER_RATE),
        (key("confirm-person-from", source, identity), CONFIRM_PERSON_RATE),
    ]
    of_all = [
        (key("confirm", name, identity), CONFIRM_MEMBER_RATE_ALL_SOURCES),
        (key("confirm-person", identity), CONFIRM_PERSON_RATE_ALL_SOURCES),
    ]
    return gap, of_source, of_all


def _when_to_ask(work: Work, limits: Limits) -> datetime:
    """Count a confirmation in all limits; return when it may be sent."""
    session, at = work.session, work.at
    gap, of_source, of_all = limits
    due_at = max(
        *rate_limits.record_uses(session, of_source, at),
        _use_overall_allowance(work, of_all),
    )
    # Delays it by an hour at most, as an earlier confirmation may itself wait for a day.
    return rate_limits.try_use(session, *gap, due_at, timedelta(hours=1)) or due_at


def _ask_sooner(work: Work, limits: Limits, waiting: Delivery) -> None:
    """Advance an unsent email, delayed for other sources, if this source's limits allow it."""
    _, of_source, of_all = limits
    is_held = waiting.state == State.QUEUED and waiting.created_at > work.at + CONFIRMATION_GAP
    if not is_held or not rate_limits.try_uses(work.session, of_source, work.at):
        return
    due_at = _use_overall_allowance(work, of_all)
    if due_at < waiting.created_at:
        waiting.due_at = waiting.created_at = due_at


def _use_overall_allowance(work: Work, of_all: list[Use]) -> datetime:
    """Count a confirmation for all sources; one that would wait for over a day is not counted."""
    session, at = work.session, work.at
    due = (rate_limits.try_use(session, key, rate, at, MAX_WAIT) for key, rate in of_all)
    return max(each or at + MAX_WAIT for each in due)


@does(RemoveAddress)
def receive_removal(work: Work, asked: RemoveAddress) -> None:
    """Remove, bar or let in an address for the office; notify its owner if they were a member.

    An intruder in the web can cause this, too, for a few addresses a day. So each member is
    notified, and the office's inbox of each bar, without the address.
    """
    session, keys, group = work.session, work.keys, named_group(work, asked.group)
    work.use(REMOVALS, REMOVAL_RATE)
    identity = address.folded(asked.address)
    key = _bar_key(keys.index, group, identity)
    barred = session.get(BarredAddress, key)
    if asked.what in {BAR, LET_IN}:
        audit.record(session, RECORDED[asked.what], group=group)
        said: dict[str, Any] = {"group": group.names_in_emails, "is_barred": asked.what == BAR}
        work.post(BAR_CHANGED, work.settings.contact_inbox, DEFAULT, **said)
    if asked.what == LET_IN:
        if barred is not None:
            session.delete(barred)
        return
    if asked.what == BAR and barred is None:
        session.add(BarredAddress(group_id=key[0], address_index=key[1]))
    _take_out(work, group, identity)


def _take_out(work: Work, group: Group, identity: str) -> None:
    """Delete a membership, so that no link or forged row can restore it."""
    subscription = proven.member(work.session, work.keys, group, identity)
    if subscription is None:
        return
    to, language = address_of(work.keys, subscription), subscription.language
    # The web could write `is_active`, so anyone whose address is not suppressed is notified.
    is_told = not subscription.is_suppressed
    erasure.forget_subscriptions(work.session, [subscription])
    if is_told:
        work.post(REMOVED, address.untagged(to), language, group=group.name_in_emails)


@does(WaitForGroup)
def keep_note(work: JobWork, asked: WaitForGroup) -> None:
    """Store a request to be notified, one for each mailbox and group, even if suppressed.

    A missing request would show that the address is suppressed; `ask_to_confirm` skips it.
    """
    session, keys, group = work.session, work.keys, proven.group(work, asked)
    identity = address.folded(asked.address)
    if group.is_ending:
        raise Refused
    work.require_staff(asked.address)
    note = find_by_address(session, keys.index, group, identity, WaitlistEntry)
    if note and erasure.is_being_erased(session, keys, identity, note):
        session.delete(note)
        session.flush()
        note = None
    if note is None:
        session.add(make_note(keys, group, asked))
    else:
        note.language, note.kept_until = asked.language, last_day()


def make_note(keyring: Keyring, group: Group, signup: Signup) -> WaitlistEntry:
    """Return a new request to be notified, wrapped for its row and group."""
    public_id = new_public_id()
    return WaitlistEntry(
        public_id=public_id,
        group=group,
        address_index=keyring.index.member(group.public_id, address.folded(signup.address)),
        wrapped_address=wrap_address(keyring, signup.address, public_id, group, NOTE_COLUMN),
        language=signup.language,
        kept_until=last_day(),
    )


_IS_OF_1_0 = WaitlistEntry.address_index.is_(None)
# Requests indexed in one transaction, which holds SQLite's lock for half a second.
NOTES_AT_ONCE = 200


@each_minute("Requests of version 1.0 to be notified are not found", exists().where(_IS_OF_1_0))
def index_notes(work: Work) -> None:
    """Index requests of version 1.0 by their mailbox, and keep one for each.

    Takes them in random order, so that unreadable ones keep no others waiting.
    """
    session, index = work.session, work.keys.index
    found = select(WaitlistEntry).where(_IS_OF_1_0).order_by(func.random()).limit(NOTES_AT_ONCE)
    for note in session.scalars(found).all():
        with suppress(DecryptionError):
            identity = address.folded(address_of(work.keys, note))
            if find_by_address(session, index, note.group, identity, WaitlistEntry):
                session.delete(note)
            note.address_index = index.member(note.group.public_id, identity)
            session.flush()


# Requests for groups that started at least UNDO_LAUNCH ago, so that this cannot be undone.
STARTED = (
    select(WaitlistEntry.id)
    .join(Group)
    .where(
        Group.established_at <= bindparam("launched_by"),
        Group.ends_at.is_(None),
        Group.retired_at.is_(None),
    )
)


def notes_to_tell(session: Session, most: int) -> list[int]:
    """List requests of STARTED in random order, so that one that always fails blocks no others."""
    some = STARTED.order_by(func.random()).limit(most)
    return list(session.scalars(some, {"launched_by": now() - UNDO_LAUNCH}))


def tell_launched(work: Work, note_id: int) -> None:
    """Queue the email that a group has started, and delete the request.

    The email asks to confirm, within the usual rate limits, as the address is not proven yet. A
    member gets an email that says so: a missing one would reveal the membership to someone who
    reads the database. Barred addresses get none. Raises UnknownKey; then the request stays.
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
    if not erasure.is_being_erased(session, keys, address.folded(to), note):
        signup = Signup(address=to, language=note.language)
        ask_to_confirm(work, note.group, signup, STARTS)
