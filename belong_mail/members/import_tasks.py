"""Ask the people of an imported list: a few at a time, each once, and remind each once."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.i18n import known_language
from belong_mail.core.rate_limits import (
    IMPORT_AGAIN_RATE,
    IMPORT_DAY_RATE,
    IMPORT_MINUTE_RATE,
    IMPORT_PERSON_RATE,
    NOTICE_RATE,
    Rate,
)
from belong_mail.core.retention import IMPORT_AGE, INVITED_AGE, UNSTARTED_IMPORT_AGE
from belong_mail.core.tokens import name_of
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import UNFINISHED, Delivery, State
from belong_mail.delivery.throttle import SendPolicy
from belong_mail.delivery.work import SHORT_LIVED, Work, each_minute
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise, untagged
from belong_mail.members.imports import (
    ASKED_NOTICE,
    ASKED_TODAY,
    BATCH_COLUMN,
    BATCH_SIZE,
    Import,
    ImportBatch,
)
from belong_mail.members.jobs import Signup
from belong_mail.members.models import Erasure, PendingConfirmation, Subscription
from belong_mail.members.tasks import is_barred, post_question, start_subscription

INVITED: Final = "invited-to-confirm"
INVITED_AGAIN: Final = "invited-to-confirm-again"
REMIND_AFTER: Final = timedelta(hours=48)
# Emails of imports that wait to leave: no batch is opened before there are fewer.
MAX_BACKLOG: Final = 100
# Reminders of one minute.
MAX_REMINDERS: Final = 100
MAX_FAILURES: Final = 3
MINUTE = b"imports/minute"
SHORT_LIVED[BATCH_COLUMN] = (
    f"addresses of an imported list that wait to be asked; deleted after {IMPORT_AGE.days} days"
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many people may be asked; a newsletter may be faster, and has the rest."""

    minute: Rate = IMPORT_MINUTE_RATE
    day: Rate = IMPORT_DAY_RATE

    @classmethod
    def within(cls, policy: SendPolicy) -> "Pace":
        """Take at most half of what the relay takes in a minute, and of its day.

        A rate that was idle may be used twice in its first period, so of the day it is a quarter.
        """
        minute, day = IMPORT_MINUTE_RATE, IMPORT_DAY_RATE
        if policy.send_rate is not None:
            minute = replace(
                minute, burst=max(BATCH_SIZE, min(minute.burst, policy.send_rate // 4))
            )
        if policy.daily_quota is not None:
            burst = max(BATCH_SIZE, min(day.burst, policy.daily_quota // 4))
            day = replace(day, burst=burst)
        return cls(minute, day)


def next_batch(session: Session, pace: Pace, at: datetime) -> int | None:
    """Return the batch to be asked now, by its id; None: there is none, or it is too early.

    The operator will hear of it even where asking fails: who is a member is told by a failure too.
    """
    found = select(ImportBatch.id).join(Import)
    which = Import.started_at.is_not(None), ImportBatch.failures < MAX_FAILURES
    batch = session.scalar(found.where(*which).order_by(ImportBatch.id).limit(1))
    if batch is None:
        return None
    room = min(
        rate_limits.remaining(session, key, rate, at)
        for key, rate in ((MINUTE, pace.minute), (ASKED_TODAY, pace.day))
    )
    if room < BATCH_SIZE or _backlog(session) >= MAX_BACKLOG:
        return None
    rate_limits.try_use(session, ASKED_NOTICE, NOTICE_RATE, at)
    return batch


def _backlog(session: Session) -> int:
    waits = select(Delivery.id).where(
        Delivery.newsletter_id.is_(None),
        Delivery.kind.in_((INVITED, INVITED_AGAIN)),
        Delivery.state.in_(UNFINISHED),
    )
    counted = select(func.count()).select_from(waits.limit(MAX_BACKLOG).subquery())
    return session.scalar(counted) or 0


def ask_batch(work: Work, pace: Pace, batch_id: int) -> None:
    """Ask the people of a batch, in one transaction with its end: each once, and none is lost.

    Raises DecryptionError for a batch that was not sealed for its group, or is too large: it
    would get round the limits, which also bound how many guesses whoever broke into the web tries.
    """
    batch = work.session.get(ImportBatch, batch_id, with_for_update={"skip_locked": True})
    if batch is None:
        return
    said = json.loads(work.keys.opener.open(batch.sealed, BATCH_COLUMN))
    group, addresses = batch.import_.group, said["addresses"]
    language = known_language(said["language"])  # an odd one would fail for strangers alone
    if said["group"] != group.public_id or not 0 < len(addresses) <= BATCH_SIZE:
        raise DecryptionError(BATCH_COLUMN)
    for key, rate in ((MINUTE, pace.minute), (ASKED_TODAY, pace.day)):
        rate_limits.record_use(work.session, key, rate, work.at, len(addresses))
    for address in addresses if group.is_open else ():
        _ask(work, group, Signup(address, language))
    work.session.delete(batch)


def put_aside(session: Session, batch_id: int) -> None:
    """Count that a batch could not be read; after some times it is left where it is."""
    failed = update(ImportBatch).where(ImportBatch.id == batch_id)
    # The web may write any number into a new row, also one far below 0.
    before = case((ImportBatch.failures < 0, 0), else_=ImportBatch.failures)
    session.execute(failed.values(failures=before + 1))


def _ask(work: Work, group: Group, signup: Signup) -> None:
    """Ask for the email that asks a person to join, unless we know a reason not to.

    It uses up none of the person's own allowances, and a sign-up of their own goes its own way.
    """
    session, keyring, identity = work.session, work.keys, normalise(signup.address)
    if not keyring.staff.admits(signup.address):
        return
    if not _may_be_asked(session, keyring, group, identity):
        return
    if not _is_little_asked(session, keyring, group, untagged(identity)):
        return
    subscription = start_subscription(session, keyring, group, signup)
    secret = keyring.index.link_secret("list", subscription.public_id)
    pending = PendingConfirmation(
        subscription=subscription,
        confirm_id=name_of(secret),
        language=signup.language,
        is_invited=True,
    )
    session.add(pending)
    post_question(work, pending, INVITED, secret)


def _is_little_asked(session: Session, keyring: Keyring, group: Group, person: str) -> bool:
    """Count that a person is asked, unless imports have asked them too often already."""
    mark = keyring.index.limited(f"import/{group.public_id}/{person}")
    of_person = keyring.index.limited(f"import//{person}")
    rates = (mark, IMPORT_AGAIN_RATE), (of_person, IMPORT_PERSON_RATE)
    return rate_limits.try_uses(session, rates, now())


def _may_be_asked(session: Session, keyring: Keyring, group: Group, identity: str) -> bool:
    """Tell whether nothing is known that speaks against asking a normalised address.

    A member is not asked, nor who has left lately, has been asked, or wants no email.
    """
    spellings = {identity, untagged(identity)}
    if any(_wants_no_email(session, keyring, group, each) for each in spellings):
        return False
    names = {keyring.index.member(group.public_id, each) for each in spellings}
    known = select(Subscription.id).where(
        Subscription.group_id == group.id,
        or_(Subscription.address_index.in_(names), Subscription.counted_index.in_(names)),
    )
    return session.scalar(known.limit(1)) is None


def _wants_no_email(session: Session, keyring: Keyring, group: Group, identity: str) -> bool:
    return (
        suppressions.is_suppressed(session, keyring.index, identity)
        or is_barred(session, keyring.index, group, identity)
        or session.get(Erasure, keyring.index.erased(identity)) is not None
    )


@each_minute("People of a list are not asked again")
def remind(work: Work) -> None:
    """Ask once more who was asked two days ago, by an email that arrived, and has not answered."""
    at = work.at
    arrived = exists().where(
        Delivery.about_id == PendingConfirmation.id,
        Delivery.kind == INVITED,
        Delivery.state == State.ACCEPTED,
    )
    found = (
        select(PendingConfirmation)
        .join(Subscription)
        .where(
            PendingConfirmation.is_invited,
            ~PendingConfirmation.is_reminded,
            PendingConfirmation.created_at.between(at - INVITED_AGE, at - REMIND_AFTER),
            arrived,
            Subscription.confirmed_at.is_(None),
            Subscription.ended_at.is_(None),
        )
        .limit(MAX_REMINDERS)
        .with_for_update(skip_locked=True, of=PendingConfirmation)
    )
    for pending in work.session.scalars(found):
        pending.is_reminded = True
        with suppress(DecryptionError):
            secret = work.keys.index.link_secret("list", pending.subscription.public_id)
            post_question(work, pending, INVITED_AGAIN, secret)
        rate_limits.record_use(work.session, ASKED_TODAY, IMPORT_DAY_RATE, at)


def unanswered(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select invitations without an answer in time; their subscriptions go with them."""
    is_old = PendingConfirmation.created_at < at - INVITED_AGE
    return PendingConfirmation.is_invited.is_(True), is_old


def ended_imports(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select files that were not started, or were a while ago; their remaining rows go too."""
    is_left = Import.started_at.is_(None) & (Import.created_at < at - UNSTARTED_IMPORT_AGE)
    return (or_(is_left, Import.started_at < at - IMPORT_AGE),)
