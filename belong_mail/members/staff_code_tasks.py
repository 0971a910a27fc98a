"""The worker's functions for staff codes: send them, and accept them."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts.proven import named_group
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
from belong_mail.members.jobs import JoinByCode, SendStaffCode
from belong_mail.members.staff_codes import end_of_day
from belong_mail.members.tasks import is_barred, let_in

# The kind of the email.
CODE = "staff-code"


@does(SendStaffCode)
def send_code(work: JobWork, asked: SendStaffCode) -> None:
    """Email a code to a staff address, if it may have one and the limits allow it.

    Barred people get none, so that they cannot come back with a personal address.
    """
    if work.job.created_at < work.at - timedelta(hours=proven.HOURS_AFTER):
        raise Refused
    index, group = work.keys.index, named_group(work, asked.group)
    if not _may_prove(work, group, asked.address):
        raise Refused
    if not _count(work.session, index, asked):
        raise Refused
    hour = proven.hour_sent(work)
    code = proven.code_of(index, group, asked.nonce, hour)
    until = (hour + proven.HOURS_AFTER + 1) * proven.HOUR_SECONDS
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
    group = proven.group_of_code(work, asked)
    if not group.allows_personal_addresses or not work.settings.staff.is_personal(asked.address):
        raise Refused
    # The key of a used code is a hash of its page's nonce, not of an address.
    key = work.keys.index.limited("staff-code-used", group.public_id, asked.nonce)
    if rate_limits.try_use(work.session, key, STAFF_CODE_USED_RATE, end_of_day(now())) is None:
        raise Refused
    let_in(work, group, replace(asked, source=""))
