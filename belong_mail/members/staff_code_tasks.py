"""Send codes that prove staff, and let in whoever shows one: the worker's side."""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex, Keyring
from belong_mail.core.rate_limits import (
    STAFF_CODE_RATE,
    STAFF_CODE_SOURCE_RATE,
    STAFF_CODE_USED_RATE,
)
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import JobWork, Refused, does
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise, untagged
from belong_mail.members.jobs import JoinByCode, SendStaffCode, Signup
from belong_mail.members.staff_codes import SECRET_LENGTH, end_of_day, in_letters, with_check
from belong_mail.members.tasks import group_of, is_barred, let_in

# The email.
CODE = "staff-code"
HOUR_SECONDS = 3600
# A code is taken in the hour in which it was made, and in the next ones: three to four in all.
HOURS_AFTER = 3
# So long ago a form was sent at most, whatever its row says, when its code is judged: the worker
# may have been busy, or down, and believes no row for longer.
GRACE = timedelta(hours=1)


@does(SendStaffCode)
def send_code(work: JobWork, asked: SendStaffCode) -> None:
    """Send a code to an address of the staff; to others, and too often, say nothing.

    A barred address gets none: another address must not be the way back.
    """
    session, keys = work.session, work.keys
    group = session.scalar(select(Group).where(Group.public_id == asked.group))
    if group is None or not _may_prove(session, keys, group, asked.address):
        raise Refused
    if not _count(session, keys.index, asked):
        raise Refused
    hour = _hour(min(work.job.created_at or work.at, work.at))
    code = code_of(keys.index, group, asked.nonce, hour)
    until = (hour + HOURS_AFTER + 1) * HOUR_SECONDS
    work.post(CODE, asked.address, asked.language, code=code, until=str(until))


def _may_prove(session: Session, keyring: Keyring, group: Group, address: str) -> bool:
    identity = normalise(address)
    return (
        group.is_open
        and group.allows_personal_addresses
        and keyring.staff.admits(address)
        and not any(
            is_barred(session, keyring.index, group, each)
            for each in (identity, untagged(identity))
        )
    )


def _count(session: Session, index: BlindIndex, wanted: SendStaffCode) -> bool:
    """Count a code, or tell that there were too many: a plus tag makes nobody another person."""
    identity = untagged(normalise(wanted.address))
    uses = (
        (index.limited(f"staff-code-from/{wanted.source}/{identity}"), STAFF_CODE_SOURCE_RATE),
        (index.limited(f"staff-code-to/{identity}"), STAFF_CODE_RATE),
    )
    return rate_limits.try_uses(session, uses, end_of_day(now()))


@does(JoinByCode)
def join(work: JobWork, asked: JoinByCode) -> None:
    """Ask a personal address to confirm, if a code that was not used yet came with it.

    To one without a right code nothing is sent: nobody can have us email just anyone. No limit of
    it names the source, which a limit of the code names: the code limits enough.
    """
    session, keys, group = work.session, work.keys, group_of(work, asked)
    if not group.allows_personal_addresses or not keys.staff.is_personal(asked.address):
        raise Refused
    # As far back as a row is believed.
    sent_at = min(work.at, max(work.job.created_at or work.at, work.at - GRACE))
    if not _is_right(keys.index, group, asked, sent_at):
        raise Refused
    # A code is used up by a keyed hash of its page, never of an address.
    key = keys.index.limited(f"staff-code-used/{group.public_id}/{asked.nonce}")
    if rate_limits.try_use(session, key, STAFF_CODE_USED_RATE, end_of_day(now())) is None:
        raise Refused
    let_in(work, group, replace(asked, source=""))


def _is_right(index: BlindIndex, group: Group, wanted: Signup, at: datetime) -> bool:
    """Tell whether the code is one that we sent for this group and page in the hours before."""
    hour = _hour(at)
    made = (code_of(index, group, wanted.nonce, hour - ago) for ago in range(HOURS_AFTER + 1))
    typed = wanted.code.encode()
    return any(hmac.compare_digest(typed, code.encode()) for code in made)


def code_of(index: BlindIndex, group: Group, nonce: str, hour: int) -> str:
    made = index.staff_code(group.public_id, nonce, hour)
    return with_check(in_letters(made, SECRET_LENGTH), nonce)


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // HOUR_SECONDS


def sent_codes(_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select codes that have left: their recipients and times are kept no minute longer."""
    return (
        Delivery.sealed_arguments.is_not(None),
        Delivery.kind == CODE,
        Delivery.finished_at.is_not(None),
        Delivery.due_at.is_(None),
    )
