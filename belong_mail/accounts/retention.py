"""Delete old data about accounts."""

from sqlalchemy import delete, exists, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from belong_mail.accounts import proven
from belong_mail.accounts.jobs import AcceptRights
from belong_mail.accounts.models import (
    INVITATION,
    Account,
    BrowserSession,
    Passkey,
    Right,
    SignIn,
)
from belong_mail.core.audit import AuditEntry
from belong_mail.core.db import NOW, ago, is_older, now
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.core.retention import (
    AUDIT_AGE,
    INVITATION_AGE,
    SESSION_AGE,
    in_batches,
)
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION, Work, each_minute

_IS_OLD = AuditEntry.at < ago(AUDIT_AGE)


def _purge_audit(session: Session) -> int:
    """Delete entries that are too old by both clocks, as the worker's may be ahead."""
    told = session.scalar(select(type_coerce(func.current_timestamp(), AuditEntry.at.type)))
    is_old = AuditEntry.at < (told or now()) - AUDIT_AGE
    purge, _ = in_batches(delete(AuditEntry), _IS_OLD, is_old)
    return purge(session)


# Accounts whose invitation is still queued.
_IS_WAITING = exists().where(
    Delivery.newsletter_id.is_(None),
    Delivery.account_id == Right.account_id,
    Delivery.kind == INVITATION,
    Delivery.finished_at.is_(None),
)
_IS_UNREAD = exists().where(
    Job.kind == AcceptRights.kind, Job.due_at <= NOW, Job.failures < MAX_FAILURES
)
_MAY_BE_OVER = (
    (Right.since < ago(INVITATION_AGE))
    & ~_IS_WAITING
    & or_(Right.accepted_at.is_(None), ~_IS_UNREAD)
)


@each_minute("Invitations that are over stay", exists().where(_MAY_BE_OVER))
def end_invitations(work: Work) -> None:
    """Delete invitations that were not accepted in time, and accounts that had nothing else.

    The proof decides: by columns, the web could delete a right without a notice, or keep an
    invitation open. The column counts only if the proof does not open, as a key may be missing.
    """
    session, over = work.session, set()
    found = select(Right).where(_MAY_BE_OVER).with_for_update(skip_locked=True)
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
    delete(BrowserSession), is_older(BrowserSession.started_at, SESSION_AGE)
)
RETENTION["sign ins"] = in_batches(delete(SignIn), is_older(SignIn.created_at, SESSION_AGE))
# Passkeys of accounts without a right or invitation.
RETENTION["passkeys"] = in_batches(
    delete(Passkey), Passkey.account_id.not_in(select(Right.account_id))
)
RETENTION["audit entries"] = _purge_audit, exists().where(_IS_OLD)
