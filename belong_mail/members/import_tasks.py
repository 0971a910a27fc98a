"""Email people on an imported list: a few at a time, each once, with one reminder."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, case, exists, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import ago, now
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.i18n import known_language
from belong_mail.core.rate_limits import (
    IMPORT_AGAIN_RATE,
    IMPORT_DAY_RATE,
    IMPORT_PERSON_RATE,
    NOTICE_RATE,
    Rate,
)
from belong_mail.core.retention import INVITED_AGE
from belong_mail.core.tokens import link_hash
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import UNFINISHED, Delivery, State
from belong_mail.delivery.work import Work, each_minute
from belong_mail.groups.models import Group
from belong_mail.mail.address import folded
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
from belong_mail.members.wrapped_fields import find_by_address

INVITED: Final = "invited-to-confirm"
INVITED_AGAIN: Final = "invited-to-confirm-again"
REMIND_AFTER: Final = timedelta(hours=48)
# Import emails in the outbox above which no batch is opened.
MAX_BACKLOG: Final = 100
# Reminders in a minute.
MAX_REMINDERS: Final = 100
MAX_FAILURES: Final = 3


BATCHES = (
    select(ImportBatch.id)
    .join(Import)
    .where(Import.started_at.is_not(None), ImportBatch.failures < MAX_FAILURES)
    .order_by(ImportBatch.id)
)


def take_batch(session: Session, pace: list[tuple[bytes, Rate]], at: datetime) -> int | None:
    """Count the next batch to ask and return its id, or None.

    Counts it, and tells operators, in a transaction of its own: a failure to ask may also reveal
    who is a member.
    """
    batch = session.scalar(BATCHES.limit(1))
    if batch is None:
        return None
    room = min(rate_limits.remaining(session, key, rate, at) for key, rate in pace)
    if room < BATCH_SIZE or _backlog(session) >= MAX_BACKLOG:
        return None
    rate_limits.try_use(session, ASKED_NOTICE, NOTICE_RATE, at)
    for key, rate in pace:
        rate_limits.record_use(session, key, rate, at, BATCH_SIZE)
    return batch


def _backlog(session: Session) -> int:
    waits = select(Delivery.id).where(
        Delivery.newsletter_id.is_(None),
        Delivery.kind.in_((INVITED, INVITED_AGAIN)),
        Delivery.state.in_(UNFINISHED),
    )
    counted = select(func.count()).select_from(waits.limit(MAX_BACKLOG).subquery())
    return session.scalar(counted) or 0


def ask_batch(work: Work, batch_id: int) -> None:
    """Ask the people of a batch, and delete it in the same transaction.

    Raises DecryptionError for a batch that was sealed for another group or is too large, as that
    would evade the limits on an intruder's guesses. Invalid addresses raise before any is looked
    up.
    """
    batch = work.session.get(ImportBatch, batch_id, with_for_update={"skip_locked": True})
    if batch is None:
        return
    said = json.loads(work.keys.opener.open(batch.sealed, BATCH_COLUMN))
    group, addresses = batch.import_.group, said["addresses"]
    language = known_language(said["language"])  # an odd one would fail for non-members alone
    if said["group"] != group.public_id or not 0 < len(addresses) <= BATCH_SIZE:
        raise DecryptionError(BATCH_COLUMN)
    signups = [(folded(each), Signup(each, language)) for each in addresses]
    for identity, signup in signups if group.is_open else ():
        _ask(work, group, identity, signup)
    work.session.delete(batch)


def put_aside(session: Session, batch_id: int) -> None:
    """Count a failure to read a batch, which is left alone after three."""
    failed = update(ImportBatch).where(ImportBatch.id == batch_id)
    # The web could have written any number, even a negative one.
    before = case((ImportBatch.failures < 0, 0), else_=ImportBatch.failures)
    session.execute(failed.values(failures=before + 1))


def _ask(work: Work, group: Group, identity: str, signup: Signup) -> None:
    """Queue the email that asks a person to join, unless they should not be asked.

    Uses none of the person's own rate limits, and does not affect their own sign-up.
    """
    session, keyring = work.session, work.keys
    if not work.settings.staff.admits(signup.address):
        return
    if not _may_be_asked(session, keyring, group, identity):
        return
    if not _is_little_asked(session, keyring, group, identity):
        return
    subscription = start_subscription(session, keyring, group, signup)
    secret = keyring.index.link_secret("list", subscription.public_id)
    pending = PendingConfirmation(
        subscription=subscription,
        confirm_id=link_hash(secret),
        language=signup.language,
        is_invited=True,
    )
    session.add(pending)
    post_question(work, pending, INVITED, secret)


def _is_little_asked(session: Session, keyring: Keyring, group: Group, person: str) -> bool:
    """Count a question to a person; return False if imports have asked them too often."""
    mark = keyring.index.limited("import", group.public_id, person)
    of_person = keyring.index.limited("import-anywhere", person)
    rates = (mark, IMPORT_AGAIN_RATE), (of_person, IMPORT_PERSON_RATE)
    return rate_limits.try_uses(session, rates, now())


def _may_be_asked(session: Session, keyring: Keyring, group: Group, identity: str) -> bool:
    """Return whether a mailbox may be asked.

    Leaves out members, and people who left recently, were asked before, or want no email.
    """
    index = keyring.index
    if suppressions.is_suppressed(session, index, identity):
        return False
    if is_barred(session, index, group, identity):
        return False
    if session.get(Erasure, index.erased(identity)) is not None:
        return False
    return find_by_address(session, index, group, identity, Subscription) is None


_HAS_ARRIVED = exists().where(
    Delivery.about_id == PendingConfirmation.id,
    Delivery.kind == INVITED,
    Delivery.state == State.ACCEPTED,
)
_IS_UNANSWERED = and_(
    PendingConfirmation.is_invited,
    ~PendingConfirmation.is_reminded,
    PendingConfirmation.created_at.between(ago(INVITED_AGE), ago(REMIND_AFTER)),
    _HAS_ARRIVED,
    PendingConfirmation.subscription_id == Subscription.id,
    Subscription.confirmed_at.is_(None),
    Subscription.ended_at.is_(None),
)


@each_minute("People of a list are not asked again", exists().where(_IS_UNANSWERED))
def remind(work: Work) -> None:
    """Remind people who were asked two days ago, got the email, and have not answered."""
    found = select(PendingConfirmation).where(_IS_UNANSWERED).limit(MAX_REMINDERS)
    free = found.with_for_update(skip_locked=True, of=PendingConfirmation)
    for pending in work.session.scalars(free):
        pending.is_reminded = True
        with suppress(DecryptionError):
            secret = work.keys.index.link_secret("list", pending.subscription.public_id)
            post_question(work, pending, INVITED_AGAIN, secret)
        rate_limits.record_use(work.session, ASKED_TODAY, IMPORT_DAY_RATE, work.at)
