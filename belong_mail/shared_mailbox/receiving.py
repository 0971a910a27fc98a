"""What the worker does with a proposed mailbox: asks there and at the lead's, then keeps it."""

import hashlib
import json
import secrets
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.accounts import inviting
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account, Leadership
from belong_mail.db import new_public_id, now
from belong_mail.groups import mailboxes
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise
from belong_mail.memberships.receiving import post
from belong_mail.outbox import service as outbox
from belong_mail.shared_mailbox.models import MailboxProposal
from belong_mail.shared_mailbox.service import AGE
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import PERSON_RATE, Keyring
from belong_mail.subscriptions.service import SEALED

ASKED, CHANGED = "confirm-mailbox", "mailbox-changed"
PLACE = "mailbox_proposals.wrapped"


def propose(session: Session, keyring: Keyring, request: Request) -> None:
    """Mail a link to the mailbox and one to the lead who named it: both must be pressed.

    Somebody who broke into the web can name any mailbox, and read what comes to their own; they
    cannot read the lead's.
    """
    wanted = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    group = session.scalar(select(Group).where(Group.public_id == wanted["group"]))
    lead = session.scalar(select(Account).where(Account.public_id == wanted["lead"]))
    if group is None or lead is None or not session.get(Leadership, (lead.id, group.id)):
        return
    asked = {normalise(wanted["address"]): wanted["address"]}
    of_lead = inviting.address_of(keyring.opener, lead)
    asked.setdefault(normalise(of_lead), of_lead)
    links = {identity: secrets.token_urlsafe(24) for identity in asked}
    session.execute(delete(MailboxProposal).where(MailboxProposal.group_id == group.id))
    proposal = MailboxProposal(public_id=new_public_id(), group_id=group.id)
    wanted |= {
        "until": (now() + AGE).isoformat(),
        "awaited": [_digest(secret) for secret in links.values()],
    }
    _keep(keyring, proposal, wanted)
    session.add(proposal)
    for identity, address in asked.items():
        due_at = limits.admit(session, keyring.index.limited(identity), PERSON_RATE, now())
        named = f"{proposal.public_id}.{links[identity]}"
        said = {"group": group.name, "named": named}
        post(session, keyring, ASKED, address, wanted["language"], due_at=due_at, **said)


def confirm(session: Session, keyring: Keyring, request: Request) -> None:
    """Count a pressed link; the last one gives the group its mailbox, and tells about it."""
    said = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    found = select(MailboxProposal).where(MailboxProposal.public_id == said["proposal"])
    proposal = session.scalar(found.with_for_update())
    if proposal is None:
        return
    wanted = json.loads(keyring.opener.unwrap(proposal.wrapped, PLACE, proposal.public_id))
    digest = _digest(said["secret"])
    if digest not in wanted["awaited"] or datetime.fromisoformat(wanted["until"]) < now():
        return
    wanted["awaited"].remove(digest)
    _keep(keyring, proposal, wanted)
    if not wanted["awaited"]:
        session.delete(proposal)
        _change(session, keyring, wanted)


def _change(session: Session, keyring: Keyring, wanted: dict[str, str]) -> None:
    """Give a group its mailbox; its leads and the mailbox before are told, not which it is."""
    group = session.scalar(select(Group).where(Group.public_id == wanted["group"]))
    if group is None:
        return
    old = mailboxes.of(keyring.opener, group)
    mailboxes.keep(keyring.opener, group, wanted["address"])
    for lead in accounts.leads_of(session, group):
        outbox.post(session, CHANGED, account_id=lead.id, about_id=group.id)
    if old and normalise(old) != normalise(wanted["address"]):
        post(session, keyring, CHANGED, old, wanted["language"], group=group.name)


def _keep(keyring: Keyring, proposal: MailboxProposal, wanted: dict[str, object]) -> None:
    content = json.dumps(wanted).encode()
    proposal.wrapped = keyring.opener.wrap(content, PLACE, proposal.public_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
