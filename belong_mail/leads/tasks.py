"""Confirm a proposed mailbox: ask there and its lead, then keep it."""

import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import MAILBOX_RATE
from belong_mail.delivery import outbox
from belong_mail.delivery.mailer import post_to_address
from belong_mail.groups import mailbox
from belong_mail.groups.header_words import tells_by_address
from belong_mail.groups.models import Group
from belong_mail.leads.mailbox import LINK_MAX_AGE, MailboxChange
from belong_mail.mail.address import normalise

ASKED, CHANGED = "confirm-mailbox", "mailbox-changed"
CHANGE_COLUMN = "mailbox_changes.wrapped"
MAX_WAIT = timedelta(days=1)


def receive_proposal(session: Session, keyring: Keyring, job: Job) -> None:
    """Mail a link to the mailbox and one to the lead who named it: both must be pressed.

    Somebody who broke into the web can name any mailbox, and read what comes to their own; they
    cannot read the lead's. One that names the group is not asked: it would stand in headers.
    """
    wanted = keyring.open_job(job)
    group, lead = _parties(session, keyring, wanted)
    if group is None or lead is None or not keyring.staff.admits(wanted["address"]):
        return
    if tells_by_address(group, wanted["address"]):
        return
    asked = {normalise(wanted["address"]): wanted["address"]}
    of_lead = invitations.account_address(keyring.opener, keyring.index, lead)
    asked.setdefault(normalise(of_lead), of_lead)
    due_at = _when_to_ask(session, keyring, group, asked)
    if due_at is None:
        return
    links = {identity: secrets.token_urlsafe(24) for identity in asked}
    session.execute(delete(MailboxChange).where(MailboxChange.group_id == group.id))
    proposal = MailboxChange(public_id=new_public_id(), group_id=group.id)
    wanted |= {
        "until": (now() + LINK_MAX_AGE).isoformat(),
        "awaited": [_digest(secret) for secret in links.values()],
    }
    _keep(keyring, proposal, wanted)
    session.add(proposal)
    for identity, address in asked.items():
        named = f"{proposal.public_id}.{links[identity]}"
        language = wanted["language"]
        said: dict[str, Any] = {"group": group.name, "named": named}
        post_to_address(session, keyring, ASKED, address, language, due_at, **said)


def receive_removal(session: Session, _keyring: Keyring, job: Job) -> None:
    """Forget a group's mailbox: replies and messages go to the office."""
    session.get_one(Group, job.group_id).wrapped_mailbox = None


def receive_confirmation(session: Session, keyring: Keyring, job: Job) -> None:
    """Count a pressed link; the last one gives the group its mailbox, and tells about it."""
    said = keyring.open_job(job)
    found = select(MailboxChange).where(MailboxChange.public_id == said["proposal"])
    proposal = session.scalar(found.with_for_update())
    if proposal is None:
        return
    wanted = json.loads(keyring.opener.unwrap(proposal.wrapped, CHANGE_COLUMN, proposal.public_id))
    digest = _digest(said["secret"])
    if digest not in wanted["awaited"] or datetime.fromisoformat(wanted["until"]) < now():
        return
    wanted["awaited"].remove(digest)
    _keep(keyring, proposal, wanted)
    if not wanted["awaited"]:
        session.delete(proposal)
        _change(session, keyring, wanted)


def _when_to_ask(
    session: Session, keyring: Keyring, group: Group, asked: Iterable[str]
) -> datetime | None:
    """Count an email to each of those who are asked; return when all may leave, None: too late."""
    name, at = keyring.index.limited, now()
    keys = [name(f"{ASKED}/{group.public_id}/{identity}") for identity in asked]
    due = [rate_limits.try_use(session, key, MAILBOX_RATE, at, MAX_WAIT) for key in keys]
    return max((each for each in due if each), default=at) if all(due) else None


def _change(session: Session, keyring: Keyring, wanted: dict[str, str]) -> None:
    """Give a group its mailbox; its leads and the mailbox before are told, not which it is."""
    group, lead = _parties(session, keyring, wanted)
    if group is None or lead is None:
        return
    old = mailbox.mailbox_of(keyring.opener, group)
    mailbox.wrap_mailbox(keyring.opener, group, wanted["address"])
    audit.record(session, audit.Kind.MAILBOX_CONFIRMED, actor=lead, group=group)
    for lead in accounts.leads_of(session, group):
        outbox.post(session, CHANGED, account_id=lead.id, about_id=group.id)
    if old and normalise(old) != normalise(wanted["address"]):
        post_to_address(session, keyring, CHANGED, old, wanted["language"], group=group.name)


def _parties(
    session: Session, keyring: Keyring, wanted: dict[str, str]
) -> tuple[Group | None, Account | None]:
    """Find the group, and the lead who named its mailbox; no lead if they do not lead it.

    Members answer to a mailbox: who leads it for less than a day names none yet.
    """
    group = session.scalar(select(Group).where(Group.public_id == wanted["group"]))
    lead = session.scalar(select(Account).where(Account.public_id == wanted["lead"]))
    if group and lead and invitations.may_meet_members(session, keyring.opener, lead, group):
        return group, lead
    return group, None


def _keep(keyring: Keyring, proposal: MailboxChange, wanted: dict[str, object]) -> None:
    content = json.dumps(wanted).encode()
    proposal.wrapped = keyring.opener.wrap(content, CHANGE_COLUMN, proposal.public_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
