"""Which rows of accounts are over."""

from datetime import datetime

from sqlalchemy import ColumnElement, Exists, delete, exists, func, or_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.accounts.invitations import INVITATION
from belong_mail.accounts.models import Account, GroupLead, Passkey
from belong_mail.core.audit import AuditEntry
from belong_mail.core.retention import (
    AUDIT_AGE,
    BATCH_ROWS,
    INVITATION_AGE,
    Rule,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import Delivery

_DELETE_AUDIT = in_batches(delete(AuditEntry), older_than(AuditEntry.at, AUDIT_AGE))


def _purge_audit(session: Session, at: datetime) -> int:
    """Delete entries that are over by the database's clock too: a worker's may be years ahead."""
    told = session.scalar(select(type_coerce(func.current_timestamp(), AuditEntry.at.type)))
    return _DELETE_AUDIT(session, min(at, told or at))


purge_audit = Rule(_purge_audit, _DELETE_AUDIT.rows)


def passkeys_of_nobody(_at: datetime) -> tuple[ColumnElement[bool]]:
    """Say which passkeys sign in nobody who has a right or is invited to one."""
    leads = Account.id.in_(select(GroupLead.account_id))
    of_office = or_(Account.is_office, Account.office_since.is_not(None))
    return (Passkey.account_id.not_in(select(Account.id).where(or_(of_office, leads))),)


def _unaccepted(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return GroupLead.accepted_at.is_(None), GroupLead.since < at - INVITATION_AGE


def _unaccepted_by_office(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return ~Account.is_office, Account.office_since < at - INVITATION_AGE


def _is_waiting(account_id: InstrumentedAttribute[int]) -> Exists:
    """Tell whether an account's invitation has not left yet: it is not removed before."""
    return exists().where(
        Delivery.newsletter_id.is_(None),
        Delivery.account_id == account_id,
        Delivery.kind == INVITATION,
        Delivery.finished_at.is_(None),
    )


def _purge_invitations(session: Session, at: datetime) -> int:
    """Remove those that nobody has accepted, and their accounts where nothing else is theirs."""
    found = select(GroupLead).where(*_unaccepted(at), ~_is_waiting(GroupLead.account_id))
    over = list(session.scalars(found.limit(BATCH_ROWS).with_for_update(skip_locked=True)))
    for lead in over:
        session.delete(lead)
    for_office = _end_invitations_to_the_office(session, at)
    if over or for_office:
        session.flush()
        _forget_accounts(session, {*(each.account_id for each in over), *for_office})
    return len(over) + len(for_office)


purge_invitations = Rule(
    _purge_invitations, ((GroupLead, _unaccepted), (Account, _unaccepted_by_office))
)


def _end_invitations_to_the_office(session: Session, at: datetime) -> list[int]:
    """Take back those that nobody has accepted; return their accounts."""
    found = select(Account).where(*_unaccepted_by_office(at), ~_is_waiting(Account.id))
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
