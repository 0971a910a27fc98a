"""Ask for a second leader's yes, give it, or take it back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.encryption import Sealer
from belong_mail.groups.models import Group
from belong_mail.newsletters import approval
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters.jobs import AskForApproval
from belong_mail.newsletters.models import Approval, Newsletter
from belong_mail.newsletters.service import InvalidState, require_valid


@dataclass(frozen=True, slots=True)
class Wanted:
    """When an issue is to go out: at a time, or so many minutes after the yes."""

    due_at: datetime | None
    undo_minutes: int
    # Whether the others are emailed: not where they were emailed often in this hour.
    is_told: bool = True


def ask(
    session: Session, sealer: Sealer, newsletter: Newsletter, account: Account, wanted: Wanted
) -> None:
    """Ask the group's other leads to approve an issue as it is.

    Raises what `require_valid` raises, and InvalidState for what is on its way, or where nobody
    else could say yes.
    """
    require_valid(newsletter)
    others = issue_release.other_leads(session, newsletter, account)
    is_going = newsletter.queued_at is not None or newsletter.due_at is not None
    if is_going or not others or newsletter.is_template:
        raise InvalidState
    session.flush()
    approval.forget(session, newsletter)
    session.add(
        Approval(
            newsletter_id=newsletter.id,
            asked_by=account.id,
            asked_at=now(),
            due_at=wanted.due_at,
            undo_minutes=wanted.undo_minutes,
            digest=approval.digest(session, newsletter),
        )
    )
    session.flush()
    session.expire(newsletter, ["approval"])
    if wanted.is_told:
        AskForApproval(newsletter.public_id).ask(session, sealer)
    audit.record(session, Kind.APPROVAL_ASKED, group=newsletter.group, newsletter=newsletter)


def approve(session: Session, newsletter: Newsletter, account: Account, seen: str) -> None:
    """Say yes to exactly the words that were seen, and let them go out. Raises InvalidState."""
    found = newsletter.approval
    if found is None or found.asked_by == account.id or seen != found.digest.hex():
        raise InvalidState
    if not approval.is_open(session, newsletter):
        raise InvalidState
    found.approved_by, found.approved_at = account.id, now()
    session.flush()
    at = now() + timedelta(minutes=found.undo_minutes)
    due_at = found.due_at if found.due_at and found.due_at > now() else at
    audit.record(session, Kind.APPROVED, group=newsletter.group, newsletter=newsletter)
    issue_release.release(session, newsletter, due_at, found.asked_by)


def decline(session: Session, newsletter: Newsletter) -> None:
    """Take back or refuse a request that is open: the issue stays a draft. Raises InvalidState."""
    if not approval.is_open(session, newsletter):
        raise InvalidState
    approval.forget(session, newsletter)
    audit.record(session, Kind.APPROVAL_DECLINED, group=newsletter.group, newsletter=newsletter)


def turn_on(session: Session, group: Group) -> None:
    """Let a group's newsletters always need a second yes. Raises InvalidState for a lead alone."""
    if len(accounts.leads_of(session, group)) < approval.TWO:
        raise InvalidState
    choose(session, group, approval.ALWAYS)


def choose(session: Session, group: Group, wanted: str) -> None:
    """Say whether a group's newsletters need a second yes: `auto`, `always` or `never`."""
    if group.second_yes != wanted:
        group.second_yes = wanted
        audit.record(session, Kind.SETTING_CHANGED, group=group, detail=f"second-yes-{wanted}")
