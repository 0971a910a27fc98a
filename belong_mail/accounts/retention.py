"""Delete what is no longer needed of accounts."""

from datetime import datetime

from sqlalchemy import ColumnElement, Exists, delete, exists, func, select, type_coerce, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.accounts.invitations import INVITATION
from belong_mail.accounts.models import Account, BrowserSession, GroupLead, Passkey, SignIn
from belong_mail.core.audit import AuditEntry
from belong_mail.core.retention import (
    AUDIT_AGE,
    INVITATION_AGE,
    SESSION_AGE,
    Rule,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION

_DELETE_AUDIT = in_batches(delete(AuditEntry), older_than(AuditEntry.at, AUDIT_AGE))


def _purge_audit(session: Session, at: datetime) -> int:
    """Delete entries too old by the database's clock as well: a worker's may be years ahead."""
    told = session.scalar(select(type_coerce(func.current_timestamp(), AuditEntry.at.type)))
    return _DELETE_AUDIT(session, min(at, told or at))


def passkeys_of_nobody(_at: datetime) -> tuple[ColumnElement[bool]]:
    """Select passkeys of accounts that have no right and no invitation."""
    return (Passkey.account_id.in_(select(Account.id).where(*_without_a_right())),)


def _without_a_right() -> tuple[ColumnElement[bool], ...]:
    leads = Account.id.in_(select(GroupLead.account_id))
    return ~Account.is_office, Account.office_since.is_(None), ~leads


def _unaccepted(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return GroupLead.accepted_at.is_(None), GroupLead.since < at - INVITATION_AGE


def _unaccepted_by_office(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return ~Account.is_office, Account.office_since < at - INVITATION_AGE


def _is_waiting(account_id: InstrumentedAttribute[int]) -> Exists:
    """Match accounts whose invitation has not been sent yet; they must stay."""
    return exists().where(
        Delivery.newsletter_id.is_(None),
        Delivery.account_id == account_id,
        Delivery.kind == INVITATION,
        Delivery.finished_at.is_(None),
    )


def _purge_invitations(session: Session, at: datetime) -> int:
    """Delete expired invitations, and accounts that have nothing else."""
    to_lead = delete(GroupLead).where(*_unaccepted(at), ~_is_waiting(GroupLead.account_id))
    to_office = update(Account).where(*_unaccepted_by_office(at), ~_is_waiting(Account.id))
    taken_back = to_office.values(office_since=None, wrapped_office=None)
    over = [
        *session.scalars(to_lead.returning(GroupLead.account_id)),
        *session.scalars(taken_back.returning(Account.id)),
    ]
    if not over:
        return 0
    is_mailed = exists().where(Delivery.account_id == Account.id, Delivery.finished_at.is_(None))
    unused = delete(Account).where(Account.id.in_(over), *_without_a_right(), ~is_mailed)
    session.execute(unused)
    return len(over)


RETENTION["sessions"] = in_batches(
    delete(BrowserSession), older_than(BrowserSession.started_at, SESSION_AGE)
)
RETENTION["sign ins"] = in_batches(delete(SignIn), older_than(SignIn.created_at, SESSION_AGE))
RETENTION["passkeys"] = in_batches(delete(Passkey), passkeys_of_nobody)
RETENTION["invitations"] = Rule(
    _purge_invitations, ((GroupLead, _unaccepted), (Account, _unaccepted_by_office))
)
RETENTION["audit entries"] = Rule(_purge_audit, _DELETE_AUDIT.rows)
