"""Do what pages asked for about an issue: the worker's side."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.core.db import lock_for_change
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.delivery import outbox
from belong_mail.delivery.mailer import SEALED_ARGUMENTS
from belong_mail.newsletters import approval, release
from belong_mail.newsletters.jobs import AskForApproval, FollowIssue, SendTestCopies
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import IssueText

TEST_COPY, OFFICE_ACTED, APPROVE = "newsletter-test", "office-acted", "approve-issue"


def follow_change(session: Session, keyring: Keyring, job: Job) -> None:
    """Move an issue's copies as its marks say now; tell its leaders what the office did."""
    asked = FollowIssue(**keyring.open_job(job))
    newsletter = _find(session, asked.issue)
    if newsletter is None:
        return
    release.move_copies(session, newsletter)
    if not asked.by:
        return
    done = keyring.opener.wrap(asked.done.encode(), f"{SEALED_ARGUMENTS}/{OFFICE_ACTED}", "")
    for lead in accounts.leads_of(session, newsletter.group):
        if lead.public_id != asked.by:
            outbox.post(
                session,
                OFFICE_ACTED,
                account_id=lead.id,
                about_id=newsletter.id,
                sealed_arguments=done,
            )


def send_test_copies(session: Session, keyring: Keyring, job: Job) -> None:
    """Mail an issue in each language it is written in to leaders of its group.

    Where it is written in one language, what surrounds its words is in each reader's.
    """
    asked = SendTestCopies(**keyring.open_job(job))
    newsletter = _find(session, asked.issue)
    if newsletter is None:
        return
    written = IssueText.from_issue(newsletter).written_in()
    wrap, place = keyring.opener.wrap, f"{SEALED_ARGUMENTS}/{TEST_COPY}"
    languages = [wrap(code.encode(), place, "") for code in written] if len(written) > 1 else [None]
    for reader in accounts.leads_of(session, newsletter.group):
        for language in languages if reader.public_id in asked.readers else ():
            outbox.post(
                session,
                TEST_COPY,
                account_id=reader.id,
                about_id=newsletter.id,
                sealed_arguments=language,
            )


def ask_for_approval(session: Session, keyring: Keyring, job: Job) -> None:
    """Email a group's other leaders that one of them wants to send an issue."""
    newsletter = _find(session, AskForApproval(**keyring.open_job(job)).issue)
    if newsletter is None or newsletter.approval is None:
        return
    if not approval.is_open(session, newsletter):
        return
    for lead in accounts.leads_of(session, newsletter.group):
        if lead.id != newsletter.approval.asked_by:
            outbox.post(session, APPROVE, account_id=lead.id, about_id=newsletter.id)


def _find(session: Session, public_id: str) -> Newsletter | None:
    """Find an issue and lock it: who changes its marks now is waited for."""
    found = select(Newsletter).where(Newsletter.public_id == public_id)
    newsletter: Newsletter | None = session.scalar(lock_for_change(session, found))
    return newsletter
