"""Proposing a mailbox for a group, and pressing its links, for the blind web."""

import json
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.sealing import Sealer
from belong_mail.shared_mailbox.models import MailboxProposal
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.service import SEALED
from belong_mail.tokens import BadToken, Purpose

KIND = "propose-mailbox"
AGE = timedelta(seconds=Purpose.CONFIRM_MAILBOX.max_age or 0)


def propose(
    session: Session, sealer: Sealer, group: Group, lead: Account, address: str, language: str
) -> None:
    """Write down, sealed, that a lead wants another mailbox; an earlier proposal is over."""
    withdraw(session, group)
    wanted = {
        "group": group.public_id,
        "lead": lead.public_id,
        "address": address,
        "language": language,
    }
    sealed = sealer.seal(json.dumps(wanted).encode(), SEALED)
    session.add(Request(kind=KIND, group_id=group.id, sealed=sealed))


def remove(session: Session, group: Group) -> None:
    """Let everything go to the office, from now on."""
    withdraw(session, group)
    group.wrapped_mailbox = None


def withdraw(session: Session, group: Group) -> None:
    """Forget what was proposed; its links do nothing any more."""
    session.execute(delete(Request).where(Request.kind == KIND, Request.group_id == group.id))
    session.execute(delete(MailboxProposal).where(MailboxProposal.group_id == group.id))


def asked_at(session: Session, group: Group) -> datetime | None:
    """Tell since when a proposal waits; None when there is none whose links still work."""
    read = select(MailboxProposal.created_at).where(MailboxProposal.group_id == group.id)
    unread = select(Request.due_at).where(Request.kind == KIND, Request.group_id == group.id)
    at = session.scalar(unread.limit(1)) or session.scalar(read)
    return at if at is not None and at > now() - AGE else None


def look_at(session: Session, public_id: str) -> None:
    """Raise BadToken when there is nothing to ask about."""
    found = select(MailboxProposal.id).where(MailboxProposal.public_id == public_id)
    if session.scalar(found) is None:
        raise BadToken


def confirm(session: Session, sealer: Sealer, named: str) -> None:
    """Hand the secret of a pressed link to the worker, who alone can tell whether it is right.

    Raises BadToken when the proposal is over.
    """
    public_id, _, secret = named.partition(".")
    look_at(session, public_id)
    said = json.dumps({"proposal": public_id, "secret": secret}).encode()
    session.add(Request(kind="confirm-mailbox", sealed=sealer.seal(said, SEALED)))
