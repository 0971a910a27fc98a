"""What a group's members may offer to help with: add, rename, retire."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.service import NotFound
from belong_mail.core import audit
from belong_mail.core.db import now, required
from belong_mail.core.i18n import LocalizedText
from belong_mail.groups.models import Group, GroupInterest
from belong_mail.groups.service import MAX_INTERESTS
from belong_mail.newsletters.models import Newsletter


class TooManyInterests(Exception):
    """The group has as many interests as a form can bear."""


def add_interest(session: Session, group: Group, label: LocalizedText) -> GroupInterest:
    """Let people tick something more from now on. Raises TooManyInterests."""
    if is_full(group):
        raise TooManyInterests
    interest = GroupInterest(group=group, label=label)
    session.add(interest)
    session.flush()
    audit.record(session, audit.Kind.INTEREST_ADDED, group=group, detail=interest.public_id)
    return interest


def is_full(group: Group) -> bool:
    return len(group.interests) >= MAX_INTERESTS


def find_interest(session: Session, group: Group, public_id: str) -> GroupInterest:
    """Find an interest that people can tick, or raise NotFound."""
    found = select(GroupInterest).where(
        GroupInterest.public_id == public_id,
        GroupInterest.group_id == group.id,
        GroupInterest.retired_at.is_(None),
    )
    return required(session.scalar(found), NotFound)


def rename_interest(interest: GroupInterest, label: LocalizedText) -> None:
    """Call an interest something else; who ticked it stays."""
    interest.label = label
    audit.record_of(interest, audit.Kind.INTEREST_RENAMED, interest.group, interest.public_id)


def retire_interest(session: Session, interest: GroupInterest) -> None:
    """Ask nobody any more; the worker deletes who ticked it.

    What was to go out to it is a draft again: it must not go to anybody else instead.
    """
    interest.retired_at = now()
    audit.record_of(interest, audit.Kind.INTEREST_RETIRED, interest.group, interest.public_id)
    waiting = update(Newsletter).where(
        Newsletter.interest_id == interest.id, Newsletter.queued_at.is_(None)
    )
    session.execute(waiting.values(due_at=None, held_at=None))
