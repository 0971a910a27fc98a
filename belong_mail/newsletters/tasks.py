"""Do what pages asked for about an issue: the worker's side."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core.db import lock_for_change, required
from belong_mail.core.decryption import Opener
from belong_mail.delivery import outbox
from belong_mail.delivery.mailer import SEALED_ARGUMENTS
from belong_mail.delivery.work import JobWork, Refused, Work, does
from belong_mail.newsletters import approval, release
from belong_mail.newsletters.jobs import AskForApproval, FollowIssue, SendTestCopies
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.rendering import IssueText

TEST_COPY, OFFICE_ACTED, APPROVE = "newsletter-test", "office-acted", "approve-issue"


@does(FollowIssue)
def follow_issue(work: JobWork, asked: FollowIssue) -> None:
    """Move an issue's copies as its marks say now; tell its leaders what the office did."""
    newsletter = _find(work, asked.issue)
    release.move_copies(work.session, newsletter)
    if not asked.by:
        return
    done = work.keys.opener.wrap(asked.done.encode(), f"{SEALED_ARGUMENTS}/{OFFICE_ACTED}", "")
    for lead in accounts.leads_of(work.session, newsletter.group):
        if lead.public_id != asked.by:
            outbox.post(
                work.session,
                OFFICE_ACTED,
                account_id=lead.id,
                about_id=newsletter.id,
                sealed_arguments=done,
            )


@does(SendTestCopies)
def send_test_copies(work: JobWork, asked: SendTestCopies) -> None:
    """Mail an issue in each language it is written in to leaders of its group.

    Where it is written in one language, what surrounds its words is in each reader's.
    """
    newsletter = _find(work, asked.issue)
    written = IssueText.from_issue(newsletter).written_in()
    wrap, place = work.keys.opener.wrap, f"{SEALED_ARGUMENTS}/{TEST_COPY}"
    languages = [wrap(code.encode(), place, "") for code in written] if len(written) > 1 else [None]
    for reader in accounts.leads_of(work.session, newsletter.group):
        for language in languages if reader.public_id in asked.readers else ():
            outbox.post(
                work.session,
                TEST_COPY,
                account_id=reader.id,
                about_id=newsletter.id,
                sealed_arguments=language,
            )


@does(AskForApproval)
def ask_for_approval(work: JobWork, asked: AskForApproval) -> None:
    """Email a group's other leaders that one of them wants to send an issue."""
    newsletter = _find(work, asked.issue)
    if newsletter.approval is None or not approval.is_open(work.session, newsletter):
        raise Refused
    for lead in accounts.leads_of(work.session, newsletter.group):
        if lead.id != newsletter.approval.asked_by:
            outbox.post(work.session, APPROVE, account_id=lead.id, about_id=newsletter.id)


def may_go_out(opener: Opener, session: Session, newsletter: Newsletter) -> bool:
    """Tell whether an issue may go out: two proven leads of its group approved its words.

    Or no approval is needed. An intruder in the web can write rows that name two accounts, but
    cannot make an account that provably leads the group.
    """
    if approval.is_needed(session, newsletter):
        return False
    found = newsletter.approval
    if found is None or not approval.is_wanted(session, newsletter.group):
        return True
    both = [session.get(Account, each) for each in (found.asked_by, found.approved_by) if each]
    return all(
        each is not None and invitations.is_proven_lead(session, opener, each, newsletter.group)
        for each in both
    )


def _find(work: Work, public_id: str) -> Newsletter:
    """Find an issue and lock it; waits for a change of its marks."""
    found = select(Newsletter).where(Newsletter.public_id == public_id)
    newsletter: Newsletter | None = work.session.scalar(lock_for_change(work.session, found))
    return required(newsletter, Refused)
