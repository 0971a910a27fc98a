"""The worker's functions for staff codes: send them, and accept them."""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.rate_limits import (
    STAFF_CODE_RATE,
    STAFF_CODE_SOURCE_RATE,
    STAFF_CODE_USED_RATE,
)
from belong_mail.delivery.work import JobWork, Refused, Work, does
from belong_mail.groups.models import Group
from belong_mail.mail.address import folded, untagged
from belong_mail.members import proven
from belong_mail.members.jobs import JoinByCode, SendStaffCode, Signup
from belong_mail.members.staff_codes import SECRET_LENGTH, end_of_day, in_letters, with_check
from belong_mail.members.tasks import is_barred, let_in

# The kind of the email.
CODE = "staff-code"
HOUR_SECONDS = 3600
# A code is valid in the hour in which it was made, and for so many hours after it.
HOURS_AFTER = 3
# Most time between a form's sending and the check of its code: the worker may have been busy, but
# beyond this it does not believe the web.
GRACE = timedelta(hours=1)


@does(SendStaffCode)
def send_code(work: JobWork, asked: SendStaffCode) -> None:
    """Email a code to a staff address, if it may have one and the limits allow it.

    Barred people get none, so that they cannot come back with a personal address.
    """
    if work.job.created_at < work.at - timedelta(hours=HOURS_AFTER):
        raise Refused
    session, keys = work.session, work.keys
    group = session.scalar(select(Group).where(Group.public_id == asked.group))
    if group is None or not _may_prove(work, group, asked.address):
        raise Refused
    if not _count(session, keys.index, asked):
        raise Refused
    hour = _hour(_sent_at(work))
    code = code_of(keys.index, group, asked.nonce, hour)
    until = (hour + HOURS_AFTER + 1) * HOUR_SECONDS
    work.post(CODE, untagged(asked.address), asked.language, code=code, until=str(until))


def _may_prove(work: Work, group: Group, address: str) -> bool:
    return (
        group.is_open
        and group.allows_personal_addresses
        and work.settings.staff.admits(address)
        and not is_barred(work.session, work.keys.index, group, folded(address))
    )


def _count(session: Session, index: BlindIndex, wanted: SendStaffCode) -> bool:
    """Count a code; return whether the limits allow it. Plus tags are ignored."""
    identity = folded(wanted.address)
    uses = (
        (index.limited("staff-code-from", wanted.source, identity), STAFF_CODE_SOURCE_RATE),
        (index.limited("staff-code-to", identity), STAFF_CODE_RATE),
    )
    return rate_limits.try_uses(session, uses, end_of_day(now()))


@does(JoinByCode)
def join(work: JobWork, asked: JoinByCode) -> None:
    """Ask a personal address to confirm, if its code is right and unused.

    Only a right code causes an email, so that no one can have us email strangers. The codes' own
    rate limits suffice, so confirmations are not counted by source.
    """
    session, keys, group = work.session, work.keys, proven.group(work, asked)
    if not group.allows_personal_addresses or not work.settings.staff.is_personal(asked.address):
        raise Refused
    if not _is_right(keys.index, group, asked, _sent_at(work)):
        raise Refused
    # The key of a used code is a hash of its page's nonce, not of an address.
    key = keys.index.limited("staff-code-used", group.public_id, asked.nonce)
    if rate_limits.try_use(session, key, STAFF_CODE_USED_RATE, end_of_day(now())) is None:
        raise Refused
    let_in(work, group, replace(asked, source=""))


def _is_right(index: BlindIndex, group: Group, wanted: Signup, at: datetime) -> bool:
    """Return whether we made this code for this group and page within HOURS_AFTER."""
    hour = _hour(at)
    made = (code_of(index, group, wanted.nonce, hour - ago) for ago in range(HOURS_AFTER + 1))
    typed = wanted.code.encode()
    return any(hmac.compare_digest(typed, code.encode()) for code in made)


def code_of(index: BlindIndex, group: Group, nonce: str, hour: int) -> str:
    made = index.staff_code(group.public_id, nonce, hour)
    return with_check(in_letters(made, SECRET_LENGTH), nonce)


def _sent_at(work: JobWork) -> datetime:
    """Return when a form was sent, but at most GRACE ago.

    An earlier time, which the web could write, would make a code that expires unsent: its delivery,
    without an email, would show that the address is not barred.
    """
    return min(work.at, max(work.job.created_at, work.at - GRACE))


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // HOUR_SECONDS
