"""A second leader's approval of an issue: whether it is required, asked for and given."""

import hashlib
import json
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.groups.header_words import is_discreet
from belong_mail.groups.models import Group
from belong_mail.newsletters.checklist import require_valid
from belong_mail.newsletters.models import Approval, Newsletter, OperatorRelease
from belong_mail.newsletters.service import InvalidState

# How long a request for approval stays open.
REQUEST_AGE = timedelta(days=7)
# Leaders needed: one asks, another approves.
TWO = 2
# A group's rule; AUTO depends on whether the group is discreet.
AUTO, ALWAYS, NEVER = "auto", "always", "never"


def is_wanted(session: Session, group: Group) -> bool:
    """Return whether a group's newsletters need a second leader's approval.

    By default, they do in a discreet group as soon as it has two leaders.
    """
    if group.approval_rule == AUTO:
        return is_discreet(group) and len(accounts.leads_of(session, group)) >= TWO
    return bool(group.approval_rule == ALWAYS)


def is_needed(session: Session, newsletter: Newsletter) -> bool:
    """Return whether an issue still lacks an approval that its group requires."""
    if not is_wanted(session, newsletter.group):
        return False
    released = session.get(OperatorRelease, newsletter.id)
    is_operators = released is not None and released.digest == digest(newsletter)
    return not is_operators and not is_given(session, newsletter)


def is_given(session: Session, newsletter: Newsletter) -> bool:
    """Return whether one leader asked for approval of the present content, and another gave it."""
    found = newsletter.approval
    if found is None or found.digest != digest(newsletter):
        return False
    leads = {each.id for each in accounts.leads_of(session, newsletter.group)}
    return found.approved_by != found.asked_by and {found.asked_by, found.approved_by} <= leads


def is_open(newsletter: Newsletter) -> bool:
    """Return whether an issue waits for approval: asked for, not expired, not edited since."""
    found = newsletter.approval
    return (
        found is not None
        and found.approved_by is None
        and found.asked_at > now() - REQUEST_AGE
        and newsletter.due_at is None
        and newsletter.queued_at is None
        and found.digest == digest(newsletter)
    )


def digest(newsletter: Newsletter) -> bytes:
    """Return a SHA-256 hash of an issue's content: group, words, pictures and flyers.

    Hashes the loaded objects, which are also rendered; their rows may have changed since.
    """
    pictures = [
        (
            each.public_id,
            each.description,
            each.media_type,
            each.width,
            each.height,
            _hash(each.content),
        )
        for each in newsletter.images
    ]
    flyers = [(each.public_id, each.title, _hash(each.content)) for each in newsletter.flyers]
    words = (newsletter.subject, newsletter.preheader, newsletter.text)
    # Placeholders stand for the group's name.
    said = [newsletter.group.public_id, newsletter.group.name, *words, pictures, *flyers]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()


def others(session: Session, newsletter: Newsletter, account: Account) -> list[Account]:
    """List the other leads of an issue's group."""
    leads = accounts.leads_of(session, newsletter.group)
    return [each for each in leads if each.id != account.id]


def ask(
    session: Session,
    newsletter: Newsletter,
    account: Account,
    due_at: datetime | None,
    undo_minutes: int,
) -> None:
    """Ask the group's other leaders to approve an issue, to send at `due_at` or after approval.

    Raises as `require_valid`, and InvalidState if the issue is not a draft, or no one else could
    approve it.
    """
    require_valid(newsletter)
    is_going = newsletter.queued_at is not None or newsletter.due_at is not None
    if is_going or newsletter.is_template or not others(session, newsletter, account):
        raise InvalidState
    session.flush()
    forget(session, newsletter)
    session.add(
        Approval(
            newsletter_id=newsletter.id,
            asked_by=account.id,
            asked_at=now(),
            due_at=due_at,
            undo_minutes=undo_minutes,
            digest=digest(newsletter),
        )
    )
    session.flush()
    session.expire(newsletter, ["approval"])
    audit.record(session, Kind.APPROVAL_ASKED, newsletter=newsletter)


def give(session: Session, newsletter: Newsletter, account: Account, seen: str) -> Approval:
    """Record an approval of the content with the hash `seen`, in hex. Raises InvalidState."""
    found = newsletter.approval
    if found is None or found.asked_by == account.id or seen != found.digest.hex():
        raise InvalidState
    if not is_open(newsletter):
        raise InvalidState
    found.approved_by = account.id
    session.flush()
    audit.record(session, Kind.APPROVED, newsletter=newsletter)
    return found


def decline(session: Session, newsletter: Newsletter) -> int:
    """Withdraw or decline an open request: the issue stays a draft. Raises InvalidState.

    Returns the id of the account that asked.
    """
    found = newsletter.approval
    if found is None or not is_open(newsletter):
        raise InvalidState
    asked_by = found.asked_by
    forget(session, newsletter)
    audit.record(session, Kind.APPROVAL_DECLINED, newsletter=newsletter)
    return asked_by


def exempt(session: Session, newsletter: Newsletter) -> None:
    """Record that an operator's command sends the present content without approval."""
    session.flush()
    session.merge(OperatorRelease(newsletter_id=newsletter.id, digest=digest(newsletter)))


def forget(session: Session, newsletter: Newsletter) -> None:
    """Void a request or an approval."""
    session.execute(delete(Approval).where(Approval.newsletter_id == newsletter.id))
    session.expire(newsletter, ["approval"])


def choose(session: Session, group: Group, rule: str) -> None:
    """Set whether a group's newsletters need approval: `auto`, `always` or `never`."""
    if group.approval_rule != rule:
        group.approval_rule = rule
        audit.record(session, Kind.SETTING_CHANGED, group=group, detail=f"approval-{rule}")


def require_from_now_on(session: Session, group: Group) -> None:
    """Require approval of a group's newsletters; only the office ends this. Raises InvalidState."""
    if len(accounts.leads_of(session, group)) < TWO:
        raise InvalidState
    choose(session, group, ALWAYS)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
