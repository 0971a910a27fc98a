"""What the worker must know of accounts: their emails, jobs, retention and wrapped columns."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from belong_mail.accounts import (
    emails,
    identities,
    identity_tasks,
    recovery,
    recovery_tasks,
    right_tasks,
    tasks,
)
from belong_mail.accounts.invitations import ADDRESS_COLUMN, INVITATION, OFFICE_RIGHT, RIGHT
from belong_mail.accounts.models import (
    Account,
    BrowserSession,
    GroupLead,
    Identity,
    Passkey,
    Recovery,
    SignIn,
)
from belong_mail.accounts.service import HAND_OVER, PASSKEY_CHANGED, PROOF
from belong_mail.core.audit import AuditEntry
from belong_mail.core.retention import (
    AUDIT_AGE,
    BATCH_ROWS,
    INVITATION_AGE,
    RECOVERY_AGE,
    SESSION_AGE,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.room import Room, WrappedColumn
from belong_mail.groups.models import Group


def purge_audit(session: Session, at: datetime) -> int:
    """Delete entries that are over by the database's clock too: a worker's may be years ahead."""
    told = session.scalar(select(type_coerce(func.current_timestamp(), AuditEntry.at.type)))
    chore = in_batches(delete(AuditEntry), older_than(AuditEntry.at, AUDIT_AGE))
    return chore(session, min(at, told or at))


def passkeys_of_nobody(_at: datetime) -> tuple[ColumnElement[bool]]:
    """Say which passkeys sign in nobody who has a right or is invited to one."""
    return (Passkey.account_id.not_in(_with_a_right()),)


def recoveries_over(at: datetime) -> tuple[ColumnElement[bool]]:
    """Say which recoveries are over, or of nobody who has a right or is invited to one."""
    since = func.coalesce(Recovery.used_at, Recovery.started_at)
    return (or_(since < at - RECOVERY_AGE, Recovery.account_id.not_in(_with_a_right())),)


def _with_a_right() -> Select[int]:
    leads = Account.id.in_(select(GroupLead.account_id))
    return select(Account.id).where(
        or_(Account.is_office, Account.office_since.is_not(None), leads)
    )


def purge_invitations(session: Session, at: datetime) -> int:
    """Remove those that nobody has accepted, and their accounts where nothing else is theirs.

    One whose email has not left yet waits for it.
    """
    is_waiting = exists().where(
        Delivery.newsletter_id.is_(None),
        Delivery.account_id == GroupLead.account_id,
        Delivery.kind == INVITATION,
        Delivery.finished_at.is_(None),
    )
    found = select(GroupLead).where(
        GroupLead.accepted_at.is_(None), GroupLead.since < at - INVITATION_AGE, ~is_waiting
    )
    over = list(session.scalars(found.limit(BATCH_ROWS).with_for_update(skip_locked=True)))
    for lead in over:
        session.delete(lead)
    for_office = _end_invitations_to_the_office(session, at)
    if over or for_office:
        session.flush()
        _forget_accounts(session, {*(each.account_id for each in over), *for_office})
    return len(over) + len(for_office)


def _end_invitations_to_the_office(session: Session, at: datetime) -> list[int]:
    """Take back those that nobody has accepted; return their accounts."""
    is_waiting = exists().where(
        Delivery.newsletter_id.is_(None),
        Delivery.account_id == Account.id,
        Delivery.kind == INVITATION,
        Delivery.finished_at.is_(None),
    )
    found = select(Account).where(
        ~Account.is_office, Account.office_since < at - INVITATION_AGE, ~is_waiting
    )
    over = list(session.scalars(found.limit(BATCH_ROWS).with_for_update(skip_locked=True)))
    for account in over:
        account.office_since = account.wrapped_office = None
    return [each.id for each in over]


def _forget_accounts(session: Session, ids: set[int]) -> None:
    """Delete those of accounts that lead nothing, answer for no office and get nothing."""
    is_mailed = exists().where(Delivery.account_id == Account.id, Delivery.finished_at.is_(None))
    unused = delete(Account).where(
        Account.id.in_(ids),
        ~Account.is_office,
        Account.office_since.is_(None),
        Account.id.not_in(select(GroupLead.account_id)),
        ~is_mailed,
    )
    session.execute(unused.execution_options(synchronize_session=False))


_LEAD = select(Account.public_id).where(Account.id == GroupLead.account_id).scalar_subquery()
_GROUP = select(Group.public_id).where(Group.id == GroupLead.group_id).scalar_subquery()
_OF_IDENTITY = select(Account.public_id).where(Account.id == Identity.account_id).scalar_subquery()
ACCOUNTS = Room(
    emails={
        "sign-in": tasks.sign_in_email,
        PROOF: tasks.proof_email,
        INVITATION: emails.invitation,
        PASSKEY_CHANGED: tasks.change_email,
        recovery.RECOVERY: recovery_tasks.recovery_email,
        identity_tasks.LINKED: identity_tasks.identity_email,
        identity_tasks.UNLINKED: identity_tasks.identity_email,
        right_tasks.CHANGED: emails.rights_changed,
        right_tasks.ENDING: emails.right_ends,
    },
    tasks={
        "sign-in": tasks.receive_sign_in,
        PROOF: tasks.receive_proof,
        PASSKEY_CHANGED: tasks.receive_change,
        recovery.RECOVERY: recovery_tasks.receive_recovery,
        identities.LINK: identity_tasks.receive_link,
        identities.UNLINK: identity_tasks.receive_unlink,
        "invite-colleague": right_tasks.receive_invitation,
        HAND_OVER: right_tasks.receive_hand_over,
        "invite-again": right_tasks.receive_repetition,
        "right-accepted": right_tasks.receive_acceptance,
        "rights-changed": right_tasks.receive_change,
    },
    lookups=("sign-in", "invite-colleague", HAND_OVER),
    retention={
        "sessions": in_batches(
            delete(BrowserSession), older_than(BrowserSession.started_at, SESSION_AGE)
        ),
        "sign ins": in_batches(delete(SignIn), older_than(SignIn.created_at, SESSION_AGE)),
        "passkeys": in_batches(delete(Passkey), passkeys_of_nobody),
        "recoveries": in_batches(delete(Recovery), recoveries_over),
        "invitations": purge_invitations,
        "audit entries": purge_audit,
    },
    wrapped=(
        WrappedColumn(Account.wrapped_address, ADDRESS_COLUMN, Account.public_id),
        WrappedColumn(Account.wrapped_office, OFFICE_RIGHT, Account.public_id),
        WrappedColumn(Identity.wrapped_subject, identity_tasks.SUBJECT_COLUMN, _OF_IDENTITY),
        WrappedColumn(GroupLead.wrapped_right, RIGHT, _LEAD + "/" + _GROUP),
    ),
)
