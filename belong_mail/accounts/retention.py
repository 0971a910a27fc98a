"""Delete old data about accounts."""

from datetime import datetime

from sqlalchemy import ColumnElement, Exists, delete, exists, func, or_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.accounts import proven
from belong_mail.accounts.invitations import INVITATION
from belong_mail.accounts.jobs import AcceptRights
from belong_mail.accounts.models import Account, BrowserSession, Passkey, Right, SignIn
from belong_mail.core.audit import AuditEntry
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.core.retention import (
    AUDIT_AGE,
    INVITATION_AGE,
    SESSION_AGE,
    Rule,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION, Work, each_minute

_DELETE_AUDIT = in_batches(delete(AuditEntry), older_than(AuditEntry.at, AUDIT_AGE))


def _purge_audit(session: Session, at: datetime) -> int:
    """Delete entries too old by the database's clock as well: the worker's may be ahead."""
    told = session.scalar(select(type_coerce(func.current_timestamp(), AuditEntry.at.type)))
    return _DELETE_AUDIT(session, min(at, told or at))


def passkeys_of_nobody(_at: datetime) -> tuple[ColumnElement[bool]]:
    """Match passkeys of accounts without a right or invitation."""
    return (Passkey.account_id.not_in(select(Right.account_id)),)


def _is_waiting(account_id: InstrumentedAttribute[int]) -> Exists:
    """Match accounts whose invitation is still queued."""
    return exists().where(
        Delivery.newsletter_id.is_(None),
        Delivery.account_id == account_id,
        Delivery.kind == INVITATION,
        Delivery.finished_at.is_(None),
    )


@each_minute("Invitations that are over stay")
def end_invitations(work: Work) -> None:
    """Delete invitations that were not accepted in time, and accounts without anything else.

    By proofs, not by columns: with these the web could delete a right without a notice, and keep an
    invitation open. A proof that does not open may be of a key that this worker lacks, and where
    one is marked as accepted, a job that says so may still wait.
    """
    session, since = work.session, work.at - INVITATION_AGE
    is_waiting = Job.due_at <= work.at, Job.failures < MAX_FAILURES
    unread = exists().where(Job.kind == AcceptRights.kind, *is_waiting)
    found = (
        select(Right)
        .where(Right.since < since, ~_is_waiting(Right.account_id))
        .where(or_(Right.accepted_at.is_(None), ~unread))
        .with_for_update(skip_locked=True)
    )
    over = set()
    for right in session.scalars(found).all():
        said = proven.opened_proof(work.keys.opener, right)
        if right.is_pending if said is None else said["begins"] is None:
            over.add(right.account_id)
            session.delete(right)
    if not over:
        return
    session.flush()
    is_mailed = exists().where(Delivery.account_id == Account.id, Delivery.finished_at.is_(None))
    has_none = Account.id.not_in(select(Right.account_id))
    session.execute(delete(Account).where(Account.id.in_(over), has_none, ~is_mailed))


RETENTION["sessions"] = in_batches(
    delete(BrowserSession), older_than(BrowserSession.started_at, SESSION_AGE)
)
RETENTION["sign ins"] = in_batches(delete(SignIn), older_than(SignIn.created_at, SESSION_AGE))
RETENTION["passkeys"] = in_batches(delete(Passkey), passkeys_of_nobody)
RETENTION["audit entries"] = Rule(_purge_audit, _DELETE_AUDIT.rows)
