"""The worker's tasks about issues: queue those that are due, and perform pages' jobs."""

import logging
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import proven, right_tasks
from belong_mail.accounts.models import Account
from belong_mail.core import audit, rate_limits
from belong_mail.core.database_errors import NO_DATABASE
from belong_mail.core.db import ago, lock_for_change, now, required
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.rate_limits import ASKED_OF_LEADERS_RATE, HELD_RATE
from belong_mail.core.retention import BATCH_ROWS, COPY_AGE
from belong_mail.delivery import pause as delivery_pause
from belong_mail.delivery.mailer import Rows
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION, JobWork, Refused, Work, does, each_minute
from belong_mail.newsletters import approval, issue_mailer, release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.jobs import AskForApproval, FollowIssue, SendTestCopies, TellDeclined
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.release import APPROVE, HELD, OFFICE_ACTED, OFFICE_COPY, TEST_COPY
from belong_mail.newsletters.rendering import IssueText
from belong_mail.newsletters.service import MAX_SUBJECT

LATE_AFTER = timedelta(minutes=60)
# After this, a copy that a worker had claimed is sent or given back.
COMES_BACK = timedelta(seconds=30)
# Newsletters queued in one transaction; other email is sent between two.
DUE_AT_ONCE = 20
log = logging.getLogger(__name__)
each_minute("No end of an issue is logged", newsletters.OVER.exists())(
    lambda work: newsletters.log_endings(work.session, work.at)
)


@does(FollowIssue)
def follow_issue(work: JobWork, asked: FollowIssue) -> None:
    """Pause, resume or withdraw an issue's copies; email its leaders what the office did.

    After a stop, workers may give back copies that they had claimed, so the job is repeated, with
    the group's id in its row, until none is claimed.
    """
    newsletter, job = _find(work, asked.issue), work.job
    release.move_copies(work.session, newsletter)
    if newsletter.stopped_at is not None and delivery_pause.is_in_hand(work.session, newsletter.id):
        due_at, group_id = work.at + COMES_BACK, newsletter.group_id
        asked.write(work.session, sealed=job.sealed, due_at=due_at, group_id=group_id)
    if asked.by and job.group_id is None:
        words = IssueText.from_issue(newsletter).subject
        subject = {language: each[:MAX_SUBJECT] for language, each in words.items()}
        _post(work, OFFICE_ACTED, newsletter, but=asked.by, done=asked.done, subject=subject)


@does(SendTestCopies)
def send_test_copies(work: JobWork, asked: SendTestCopies) -> None:
    """Send an issue to leaders of its group, in each language that it is written in.

    If it is written in one language, the words around it are in each reader's.
    """
    newsletter = _find(work, asked.issue)
    written = IssueText.from_issue(newsletter).written_in()
    for language in written if len(written) > 1 else [None]:
        _post(work, TEST_COPY, newsletter, only=asked.readers, written=language)


@does(AskForApproval)
def ask_for_approval(work: JobWork, asked: AskForApproval) -> None:
    """Email a group's other leaders that one of them wants to send an issue."""
    newsletter = _find(work, asked.issue)
    if newsletter.approval is None or not approval.is_open(newsletter):
        raise Refused
    by = work.session.get_one(Account, newsletter.approval.asked_by)
    _post(work, APPROVE, newsletter, but=by.public_id)


@does(TellDeclined)
def tell_declined(work: JobWork, asked: TellDeclined) -> None:
    """Email the leader who wanted to send an issue that another leader did not approve it."""
    _post(work, HELD, _find(work, asked.issue), only=[asked.asker], why="declined")


def _post(
    work: Work,
    kind: str,
    newsletter: Newsletter,
    *,
    only: Collection[str] | None = None,
    but: str = "",
    **said: object,
) -> None:
    """Email the proven leaders of an issue's group, within the limit on what the web asks for."""
    for lead in proven.holders(work.session, work.keys.opener, newsletter.group):
        key = b"issues/" + lead.public_id.encode()
        if lead.public_id == but or (only is not None and lead.public_id not in only):
            continue
        if rate_limits.try_use(work.session, key, ASKED_OF_LEADERS_RATE, work.at) is not None:
            _tell(work, kind, lead, newsletter, **said)


def _tell(work: Work, kind: str, lead: Account, newsletter: Newsletter, **said: object) -> None:
    """Email a lead about an issue; recipient and arguments are fixed now."""
    said |= {
        "lead": lead.public_id,
        "group": newsletter.group.name_in_emails,
        "newsletter": newsletter.public_id,
    }
    rows = Rows(about_id=newsletter.id)
    right_tasks.post_to(work.session, work.keys, kind, lead, rows=rows, **said)


DUE = (
    select(Newsletter.id)
    .where(
        Newsletter.queued_at.is_(None),
        Newsletter.due_at <= bindparam("at"),
        Newsletter.is_template.is_(False),
    )
    .order_by(Newsletter.due_at)
)


def queue_due(work: Work) -> None:
    """Queue at most DUE_AT_ONCE issues that are due.

    An issue that must not be sent without a decision is held, and its leads are asked; one of a
    retired group becomes a draft. A row that cannot be read is held as well.
    """
    session = work.session
    some = DUE.limit(DUE_AT_ONCE).with_for_update(skip_locked=True)
    for number in session.scalars(some, {"at": work.at}).all():
        try:
            with session.begin_nested():
                _queue_or_hold(work, session.get_one(Newsletter, number))
        except (*NO_DATABASE, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("Newsletter %d is held: %s", number, type(error).__name__)  # noqa: TRY400
            unreadable = update(Newsletter).where(Newsletter.id == number)
            session.execute(unreadable.values(held_at=now(), due_at=None))


def _queue_or_hold(work: Work, newsletter: Newsletter) -> None:
    """Queue an issue that is due, with the office's copy, or hold it."""
    if newsletter.group.has_ended(now()):
        newsletter.due_at = None
        return
    made = issue_mailer.fit_messages(work.mailer, newsletter)
    if not made:
        why = "unfit"
    elif not _may_go_out(work, newsletter):
        why = "unapproved"
    elif newsletter.due_at and newsletter.due_at < now() - LATE_AFTER:
        why = "late"
    else:
        newsletters.plan(work.session, newsletter)
        # In the same transaction, so that the checked content is sent.
        issue_mailer.keep_messages(work.session, work.mailer, newsletter, made)
        if work.settings.copy_to_office:
            fit = issue_mailer.build(work.mailer, newsletter, DEFAULT, copy_for="office")
            rows, wire = Rows(about_id=newsletter.id), fit.template.to_bytes().decode()
            inbox = work.settings.contact_inbox
            work.post(OFFICE_COPY, inbox, DEFAULT, rows=rows, wire=wire)
        return
    newsletter.held_at, newsletter.due_at = now(), None
    if ask_leads(work, newsletter, why):
        audit.record(work.session, audit.Kind.HELD, newsletter=newsletter, detail=why)


def _may_go_out(work: Work, newsletter: Newsletter) -> bool:
    """Return whether an issue needs no approval, or two proven leads of its group approved it.

    An intruder in the web can write rows that name two accounts, but cannot make an account that
    provably leads the group.
    """
    session, opener, found = work.session, work.keys.opener, newsletter.approval
    if approval.is_needed(session, newsletter):
        return False
    if found is None or not approval.is_wanted(session, newsletter.group):
        return True
    both = [session.get(Account, each) for each in (found.asked_by, found.approved_by) if each]
    return all(each and proven.is_proven(session, opener, each, newsletter.group) for each in both)


def ask_leads(work: Work, newsletter: Newsletter, why: str) -> bool:
    """Ask a group's proven leads what to do with an issue, unless such an email still waits.

    Returns False beyond the rate limit, as the web can cause it repeatedly.
    """
    session, key = work.session, b"held/" + newsletter.public_id.encode()
    asked = select(Delivery.id).where(
        Delivery.kind == HELD, Delivery.about_id == newsletter.id, Delivery.due_at.is_not(None)
    )
    if rate_limits.try_use(session, key, HELD_RATE, work.at) is None:
        return False
    if session.scalar(asked.limit(1)) is None:
        for lead in proven.holders(work.session, work.keys.opener, newsletter.group):
            _tell(work, HELD, lead, newsletter, why=why)
    return True


def _find(work: Work, public_id: str) -> Newsletter:
    """Find and lock an issue, after any concurrent change of its state. Raises Refused."""
    found = select(Newsletter).where(Newsletter.public_id == public_id)
    newsletter: Newsletter | None = work.session.scalar(lock_for_change(work.session, found))
    return required(newsletter, Refused)


# A report needs only the numbers of old copies.
_IS_OLD = Newsletter.counted_at.is_(None), Newsletter.queued_at < ago(COPY_AGE)


def _remove_old_copies(session: Session) -> int:
    """Delete copies that ended long ago and are in their issue's counts; return how many.

    An issue with copies that still wait, such as a paused one, is looked at again.
    """
    old = select(Newsletter).where(*_IS_OLD)
    left = BATCH_ROWS
    for issue in session.scalars(old.order_by(Newsletter.id).with_for_update(skip_locked=True)):
        left -= _remove_some(session, issue, left)
        if left <= 0:
            break
        remaining = select(Delivery.id).where(Delivery.newsletter_id == issue.id).limit(1)
        if session.scalar(remaining) is None:
            issue.counted_at = now()
    return BATCH_ROWS - left


RETENTION["copies of old issues"] = _remove_old_copies, exists().where(*_IS_OLD)


def _remove_some(session: Session, issue: Newsletter, most: int) -> int:
    over = (
        select(Delivery.id)
        .where(
            Delivery.newsletter_id == issue.id,
            Delivery.finished_at < ago(COPY_AGE),
            Delivery.due_at.is_(None),
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    gone = delete(Delivery).where(Delivery.id.in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)
