"""A group's shared mailbox: propose, confirm and remove it."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.accounts.models import Account
from belong_mail.core import audit
from belong_mail.core.db import PublicIdBase, now
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.groups.models import Group
from belong_mail.leads.jobs import ConfirmMailbox, ProposeMailbox, RemoveMailbox


class MailboxChange(PublicIdBase):
    """A proposed mailbox; the current one stays until it is confirmed."""

    __tablename__ = "mailbox_changes"

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), unique=True)
    # The address, and hashes of the secrets that have not been confirmed yet, wrapped.
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)


LINK_MAX_AGE = timedelta(seconds=Purpose.CONFIRM_MAILBOX.max_age or 0)


def propose_mailbox(
    session: Session, sealer: Sealer, group: Group, lead: Account, address: str, language: str
) -> None:
    """Queue a leader's proposal, sealed, in place of an earlier one."""
    withdraw(session, group)
    asked = ProposeMailbox(group.public_id, lead.public_id, address, language)
    asked.ask(session, sealer, group_id=group.id)
    audit.record(session, audit.Kind.MAILBOX_PROPOSED, group=group)


def remove_mailbox(session: Session, group: Group) -> None:
    """Queue the mailbox's removal; then the office gets its email."""
    withdraw(session, group)
    RemoveMailbox().write(session, group_id=group.id)
    audit.record(session, audit.Kind.MAILBOX_REMOVED, group=group)


def is_set(session: Session, group: Group) -> bool:
    """Return whether a group has a mailbox whose removal is not queued."""
    removed = select(Job.id).where(Job.kind == RemoveMailbox.kind, Job.group_id == group.id)
    return group.wrapped_mailbox is not None and session.scalar(removed.limit(1)) is None


def withdraw(session: Session, group: Group) -> None:
    """Delete the open proposal, so that its links stop working."""
    session.execute(delete(Job).where(Job.kind == ProposeMailbox.kind, Job.group_id == group.id))
    session.execute(delete(MailboxChange).where(MailboxChange.group_id == group.id))


def asked_at(session: Session, group: Group) -> datetime | None:
    """Return when the open proposal was made, or None."""
    read = select(MailboxChange.created_at).where(MailboxChange.group_id == group.id)
    unread = select(Job.due_at).where(Job.kind == ProposeMailbox.kind, Job.group_id == group.id)
    at = session.scalar(unread.limit(1)) or session.scalar(read)
    return at if at is not None and at > now() - LINK_MAX_AGE else None


def require_proposal(session: Session, public_id: str) -> None:
    """Raise BadToken unless a proposal has this public id."""
    found = select(MailboxChange.id).where(MailboxChange.public_id == public_id)
    if session.scalar(found) is None:
        raise BadToken


def confirm_mailbox(session: Session, sealer: Sealer, named: str) -> None:
    """Queue the confirmation of a link; only the worker can check its secret.

    Raises BadToken if the proposal no longer exists.
    """
    public_id, _, secret = named.partition(".")
    require_proposal(session, public_id)
    ConfirmMailbox(public_id, secret).ask(session, sealer)
