"""Find the rows that a member's job names, or raise Refused: the worker trusts proofs only.

An intruder in the web can write any row, and seal any job. But only the worker wraps addresses and
relates one person's rows, and only an email has the secret of its link.
"""

import base64
import json
import logging
from datetime import timedelta
from secrets import compare_digest
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from belong_mail.core.db import required
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring
from belong_mail.core.tokens import link_hash
from belong_mail.delivery import suppressions
from belong_mail.delivery.work import JobWork, Refused, Work
from belong_mail.groups.models import Group
from belong_mail.mail.address import folded, sent_as
from belong_mail.members import erasure
from belong_mail.members.jobs import (
    FinishConfirmation,
    ForList,
    JoinByCode,
    MoveAddress,
    NeverMail,
    Signup,
)
from belong_mail.members.models import (
    AddressChange,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.staff_codes import SECRET_LENGTH, in_letters, with_check
from belong_mail.members.wrapped_fields import address_of, find_by_address, is_genuine

# The use for which the secret of a link that refuses all email is derived.
NEVER = "never"
PERMIT = "manage_sessions.slip"
# The link is sent within half an hour and works for as long; the worker has an hour to do the job.
PERMIT_MAX_AGE = timedelta(hours=2)
ADDRESS_CHANGE = "address_changes.wrapped"
HOUR_SECONDS = 3600
# A code is valid in the hour in which it was made, and for so many hours after it.
HOURS_AFTER = 3
# Most time between a form's sending and the check of its code: the worker may have been busy, but
# beyond this it does not believe the web.
GRACE = timedelta(hours=1)
log = logging.getLogger(__name__)


def group(work: JobWork, asked: Signup) -> Group:
    """Return a sign-up's group. Raises DecryptionError if it was sealed for another."""
    found = work.session.get_one(Group, work.job.group_id)
    if asked.group != found.public_id:
        raise DecryptionError(asked.kind)
    return found


def group_of_code(work: JobWork, asked: JoinByCode) -> Group:
    """Return a sign-up's group, if we made its code for this group and page within HOURS_AFTER."""
    index, found, hour = work.keys.index, group(work, asked), hour_sent(work)
    made = (code_of(index, found, asked.nonce, hour - ago) for ago in range(HOURS_AFTER + 1))
    typed = asked.code.encode()
    if not any(compare_digest(typed, code.encode()) for code in made):
        raise Refused
    return found


def code_of(index: BlindIndex, group: Group, nonce: str, hour: int) -> str:
    made = index.staff_code(group.public_id, nonce, hour)
    return with_check(in_letters(made, SECRET_LENGTH), nonce)


def hour_sent(work: JobWork) -> int:
    """Return the hour since 1970 in which a form was sent, but at most GRACE ago.

    An earlier time, which the web could write, would make a code that expires unsent: its delivery,
    without an email, would show that the address is not barred.
    """
    at = min(work.at, max(work.job.created_at, work.at - GRACE))
    return int(at.timestamp()) // HOUR_SECONDS


def confirmed(work: JobWork, asked: FinishConfirmation) -> PendingConfirmation:
    """Return the sign-up that the job's link confirmed, unless its member has left meanwhile."""
    found = select(PendingConfirmation).where(
        PendingConfirmation.confirm_id == link_hash(asked.secret),
        PendingConfirmation.subscription_id == work.job.subscription_id,
    )
    pending = work.session.scalar(found)
    if pending is None or not pending.subscription.is_active:
        raise Refused
    return pending


def member(session: Session, keyring: Keyring, group: Group, identity: str) -> Subscription | None:
    """Find a mailbox's membership. Raises DecryptionError for a forged row.

    The index finds the row, and decrypting it verifies the index.
    """
    found = find_by_address(session, keyring.index, group, identity, Subscription)
    if found is not None:
        address_of(keyring, found)
    return found


def refusing(work: JobWork, asked: NeverMail) -> str:
    """Return the mailbox that had an email with the job's secret.

    Without the secret an intruder in the web could suppress any member, and then test guesses
    unnoticed.
    """
    named = required(work.session.get(Subscription, work.job.subscription_id), Refused)
    address = address_of(work.keys, named)
    names = (f"{named.public_id}/{each}" for each in sent_as(address))
    secrets = [work.keys.index.link_secret(NEVER, each).encode() for each in names]
    if not any(compare_digest(asked.secret.encode(), each) for each in secrets):
        raise Refused
    return folded(address)


def person_hash(keyring: Keyring, subscription: Subscription) -> str:
    """Return a keyed hash of a membership's mailbox, to compare people."""
    identity = folded(address_of(keyring, subscription))
    return keyring.index.limited("person", identity).hex()


def is_kept(work: Work, row: Subscription | WaitlistEntry) -> bool:
    """Return whether a membership or request is not being erased."""
    identity = folded(address_of(work.keys, row))
    return not erasure.is_being_erased(work.session, work.keys, identity, row)


def permit(work: Work, held: list[Subscription]) -> bytes:
    """Return a permit to change one person's memberships."""
    said = {
        "public_ids": [each.public_id for each in held],
        "person": person_hash(work.keys, held[0]),
        "until": (work.at + PERMIT_MAX_AGE).timestamp(),
    }
    return work.keys.opener.wrap(json.dumps(said).encode(), PERMIT, "")


def permitted(work: Work, asked: ForList) -> list[Subscription]:
    """Return the memberships that a job's permit is for.

    Leaves out those that have moved or cannot be decrypted. Raises Refused if none is left or the
    permit has expired. Raises DecryptionError if the worker, which alone may relate rows, did not
    make the permit.
    """
    said = json.loads(work.keys.opener.unwrap(base64.b64decode(asked.slip), PERMIT, ""))
    if not isinstance(said, dict) or said["until"] <= work.at.timestamp():
        log.warning("A request that a link to one's groups allowed came too late: %s", asked.kind)
        raise Refused
    # Not locked: PostgreSQL's xmax would show which rows one transaction had locked.
    found = select(Subscription).where(Subscription.public_id.in_(said["public_ids"]))
    held = [each for each in _of_person(work, found, said["person"]) if is_kept(work, each)]
    return required(held or None, Refused)


def moving(work: Work, asked: MoveAddress) -> tuple[dict[str, Any], list[Subscription]]:
    """Use up a confirmed change of address; return it and the memberships to move.

    Only the email to the new address had the secret. Memberships that have moved elsewhere stay.
    """
    session, keys = work.session, work.keys
    named = select(AddressChange).where(AddressChange.public_id == link_hash(asked.secret))
    change = session.scalar(named)
    if change is None or not change.wrapped:
        raise Refused
    wanted = opened_change(keys, change)
    change.wrapped = b""
    if suppressions.is_suppressed(session, keys.index, folded(wanted["new"])):
        raise Refused
    found = select(Subscription).where(Subscription.public_id.in_(wanted["public_ids"]))
    theirs = _of_person(work, found.with_for_update(), wanted["person"])
    return wanted, required([each for each in theirs if each.is_active] or None, Refused)


def opened_change(keys: Keyring, change: AddressChange) -> dict[str, Any]:
    """Decrypt a change of address. Raises DecryptionError."""
    said = keys.opener.unwrap(change.wrapped, ADDRESS_CHANGE, change.public_id)
    return dict(json.loads(said))


def _of_person(work: Work, found: Select[Subscription], person: str) -> list[Subscription]:
    """List the found memberships that can be decrypted and have this person's mailbox."""
    rows = [each for each in work.session.scalars(found) if is_genuine(work.keys, each)]
    return [each for each in rows if person_hash(work.keys, each) == person]
