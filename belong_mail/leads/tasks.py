"""The worker's functions and emails for a group's shared mailbox: ask, confirm, set, remove."""

import json
import secrets
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts import proven, right_tasks
from belong_mail.core import audit
from belong_mail.core.db import is_older, new_public_id, now, required
from belong_mail.core.decryption import Keyring
from belong_mail.core.rate_limits import MAILBOX_RATE, MAX_WAIT
from belong_mail.core.retention import ADDRESS_CHANGE_AGE, in_batches
from belong_mail.core.tokens import Purpose, secret_hash
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import (
    RETENTION,
    JobWork,
    Refused,
    Work,
    as_posted,
    does,
    unless_suppressed,
    writes,
)
from belong_mail.groups import mailbox
from belong_mail.groups.header_words import tells_by_address
from belong_mail.groups.models import Group
from belong_mail.leads.jobs import ConfirmMailbox, ProposeMailbox, RemoveMailbox
from belong_mail.leads.mailbox import LINK_MAX_AGE, MailboxChange
from belong_mail.mail.address import normalise

ASKED, CHANGED = "confirm-mailbox", "mailbox-changed"
CHANGE_COLUMN = "mailbox_changes.wrapped"
TIME_TO_ANSWER = timedelta(hours=6)


RETENTION["mailbox proposals"] = in_batches(
    delete(MailboxChange), is_older(MailboxChange.created_at, ADDRESS_CHANGE_AGE)
)


@does(ProposeMailbox)
def receive_proposal(work: Work, asked: ProposeMailbox) -> None:
    """Email a link to the mailbox, and one to the leader who proposed it; both must be used.

    An intruder in the web can propose a mailbox of theirs, but cannot read the leader's email. The
    leader's right must be a day old, as members will reply to that mailbox. A mailbox whose name
    identifies a discreet group is refused, as headers would show it.
    """
    session, keys = work.session, work.keys
    group, lead = proven.lead(work, asked.group, asked.lead)
    work.require_staff(asked.address)
    if tells_by_address(group, asked.address):
        raise Refused
    written = {normalise(asked.address): asked.address}
    of_lead = proven.address_of(keys, lead)
    written.setdefault(normalise(of_lead), of_lead)
    limited = (keys.index.limited(ASKED, group.public_id, each) for each in written)
    due_at = max(work.use(key, MAILBOX_RATE, MAX_WAIT) for key in limited)
    links = {identity: secrets.token_urlsafe(24) for identity in written}
    session.execute(delete(MailboxChange).where(MailboxChange.group_id == group.id))
    proposal = MailboxChange(public_id=new_public_id(), group_id=group.id)
    wanted = asdict(asked) | {
        "until": (work.at + LINK_MAX_AGE).isoformat(),
        "awaited": [secret_hash(secret).hex() for secret in links.values()],
    }
    _keep(keys, proposal, wanted)
    session.add(proposal)
    for identity, address in written.items():
        named = f"{proposal.public_id}.{links[identity]}"
        said: dict[str, Any] = {"group": group.names_in_emails, "named": named}
        work.post(ASKED, address, asked.language, due_at, **said)


@does(RemoveMailbox)
def receive_removal(work: JobWork, _asked: RemoveMailbox) -> None:
    work.session.get_one(Group, work.job.group_id).wrapped_mailbox = None


@does(ConfirmMailbox)
def receive_confirmation(work: Work, asked: ConfirmMailbox) -> None:
    """Record a confirmed link; after the last one, set the mailbox and notify."""
    proposal, wanted = _proven(work, asked)
    _keep(work.keys, proposal, wanted)
    if not wanted["awaited"]:
        work.session.delete(proposal)
        _change(work, wanted)


def _proven(work: Work, asked: ConfirmMailbox) -> tuple[MailboxChange, dict[str, Any]]:
    """Lock a proposal; return it and its contents, in which the job's secret is used up.

    Only the email to one of the two has the secret.
    """
    found = select(MailboxChange).where(MailboxChange.public_id == asked.proposal)
    proposal = required(work.session.scalar(found.with_for_update()), Refused)
    opened = work.keys.opener.unwrap(proposal.wrapped, CHANGE_COLUMN, proposal.public_id)
    wanted, digest = json.loads(opened), secret_hash(asked.secret).hex()
    if digest not in wanted["awaited"] or datetime.fromisoformat(wanted["until"]) < work.at:
        raise Refused
    wanted["awaited"].remove(digest)
    return proposal, wanted


def _change(work: Work, wanted: dict[str, str]) -> None:
    """Set a group's mailbox; notify its proven leaders and the old mailbox, without the address."""
    session, keys = work.session, work.keys
    group, lead = proven.lead(work, wanted["group"], wanted["lead"])
    old = mailbox.mailbox_of(keys.opener, group)
    mailbox.wrap_mailbox(keys.opener, group, wanted["address"])
    audit.record(session, audit.Kind.MAILBOX_CONFIRMED, actor=lead, group=group)
    said: dict[str, Any] = {"group": group.names_in_emails}
    for each in proven.holders(session, keys.opener, group):
        right_tasks.post_to(session, keys, CHANGED, each, is_lead=True, **said)
    if old and normalise(old) != normalise(wanted["address"]):
        work.post(CHANGED, old, wanted["language"], is_lead=False, **said)


def _keep(keyring: Keyring, proposal: MailboxChange, wanted: dict[str, object]) -> None:
    content = json.dumps(wanted).encode()
    proposal.wrapped = keyring.opener.wrap(content, CHANGE_COLUMN, proposal.public_id)


@writes(ASKED)
def confirm_mailbox_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a link that confirms a proposed mailbox, unless its time is over.

    Its expiry is fixed in the proposal, so the link is not signed anew as in other emails.
    """
    letter = unless_suppressed(session, mailer, delivery)
    named = letter.context["named"]
    public_id, _, _secret = named.partition(".")
    found = select(MailboxChange.created_at).where(MailboxChange.public_id == public_id)
    at = session.scalar(found)
    if at is None:
        raise SkipDelivery(State.WITHDRAWN)
    if now() > at + LINK_MAX_AGE - TIME_TO_ANSWER:
        raise SkipDelivery(State.EXPIRED)
    url = mailer.links.signed(
        "shared_mailbox.confirm", Purpose.CONFIRM_MAILBOX, named, at, letter.language
    )
    return letter.saying(confirm_url=url, expires=at + LINK_MAX_AGE)


@writes(CHANGED)
def mailbox_changed_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify a leader or the previous mailbox of a change, without the new address.

    A leader gets it even if suppressed: an intruder could have suppressed them.
    """
    letter = as_posted(session, mailer, delivery)
    return letter if letter.context["is_lead"] else unless_suppressed(session, mailer, delivery)
