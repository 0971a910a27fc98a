"""Migrate, once, what versions before step 0014 wrote to the form that proves itself.

An older version wrapped an address for its row alone, sealed every request for one place, and wrote
a lead's right without a proof. A worker believes none of that any more, so whoever holds its keys
brings it into the present form while the schema is upgraded: web and worker stand still then.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session, joinedload

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account, GroupLead
from belong_mail.core.db import SchemaInconsistent
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.jobs import Job
from belong_mail.delivery import mailer
from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN, is_genuine, wrap_address
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN, issue_row
from belong_mail.newsletters.models import Newsletter, RenderedIssue

# Rows that are in memory at once.
ROWS_AT_ONCE = 500
OF_REQUESTS = "requests.sealed"
FOR_A_GROUP = ("join", "interest")


WAS_TAKEN_OVER = (
    "The database says that an older version wrote it, but its members were taken over before."
    " Someone has set its step back, so that forged rights would be believed. Nothing was changed."
    " Restore a copy, and look for a break-in."
)


def migrate_data(session: Session, keyring: Keyring, sealer: Sealer) -> int:
    """Bring all that is kept into the present form; return how many leads were believed.

    What cannot be opened stays as it is, and is not believed later either. Raises
    SchemaInconsistent when this was done before.
    """
    _addresses(session, keyring)
    _issues(session, keyring)
    _mails(session, keyring)
    _requests(session, keyring, sealer)
    return _leads(session, keyring)


def has_office(session: Session) -> bool:
    """Tell whether anyone works for the office."""
    return session.scalar(select(Account.id).where(Account.is_office).limit(1)) is not None


def prove_office(session: Session, keyring: Keyring) -> int:
    """Prove the rights to work for the office that versions before step 0029 wrote without a proof.

    Return how many were believed; one whose address does not open has none.
    """
    believed = 0
    for account in session.scalars(select(Account).where(Account.is_office)).all():
        with suppress(DecryptionError):
            invitations.account_address(keyring.opener, keyring.index, account)
            invitations.prove_office(keyring.opener, account)
            believed += 1
    return believed


def _leads(session: Session, keyring: Keyring) -> int:
    found = select(GroupLead, Account, Group).join(Account).join(Group)
    rows = session.execute(found.where(GroupLead.wrapped_right.is_(None))).all()
    believed = 0
    for leadership, account, group in rows:
        with suppress(DecryptionError):
            invitations.account_address(keyring.opener, keyring.index, account)
            leadership.wrapped_right = invitations.grant_right(keyring.opener, account, group)
            believed += 1
    return believed


def _addresses(session: Session, keyring: Keyring) -> None:
    """Wrap members' addresses for row and group; one that its index contradicts stays as it is.

    Raises SchemaInconsistent at one in the present form.
    """
    for row in _in_steps(session, select(Subscription).options(joinedload(Subscription.group))):
        try:
            opened = keyring.opener.unwrap(
                row.wrapped_address, ADDRESS_COLUMN, row.public_id
            ).decode()
        except DecryptionError as error:
            if is_genuine(keyring, row):
                raise SchemaInconsistent(WAS_TAKEN_OVER) from error
            continue
        index = keyring.index.member(row.group.public_id, normalise(opened))
        if index == row.address_index:
            row.wrapped_address = wrap_address(keyring, opened, row.public_id, row.group)


def _issues(session: Session, keyring: Keyring) -> None:
    """Wrap the finished bytes of issues for their group, one at a time: some are of megabytes."""
    found = select(RenderedIssue.language, Newsletter).join(Newsletter)
    for language, issue in session.execute(found).all():
        frozen = session.get_one(RenderedIssue, (issue.id, language))
        with suppress(DecryptionError):
            made = keyring.opener.unwrap(
                frozen.wire, TEMPLATE_COLUMN, f"{issue.public_id}/{language}"
            )
            frozen.wire = keyring.opener.wrap(made, TEMPLATE_COLUMN, issue_row(issue, language))
            session.flush()
        session.expunge(frozen)


def _mails(session: Session, keyring: Keyring) -> None:
    """Bind what single mails say to their kind."""
    told = Delivery.sealed_to.is_not(None) & Delivery.sealed_arguments.is_not(None)
    for mail in _in_steps(session, select(Delivery).where(told)):
        with suppress(DecryptionError):
            mailer.bind_to_kind(keyring, mail)


def _requests(session: Session, keyring: Keyring, sealer: Sealer) -> None:
    """Seal what visitors asked for anew: for its kind, and with the group it was typed for."""
    waiting = select(Job.id).where(Job.sealed.is_not(None))
    for request_id in session.scalars(waiting).all():
        request = session.get_one(Job, request_id)
        with suppress(DecryptionError, ValueError, TypeError, NoResultFound):
            typed = keyring.opener.open(request.sealed or b"", OF_REQUESTS)
            if request.kind in FOR_A_GROUP:
                group = session.get_one(Group, request.group_id or 0)
                typed = json.dumps({**json.loads(typed), "group": group.public_id}).encode()
            request.sealed = sealer.seal(typed, sealed_for(request.kind))
            session.flush()
        session.expunge(request)


def _in_steps(session: Session, found: Select[Any]) -> Iterator[Any]:
    """Yield the rows of a table by their ids, some at a time; what is done to them is written."""
    model = found.column_descriptions[0]["entity"]
    last = 0
    while rows := session.scalars(
        found.where(model.id > last).order_by(model.id).limit(ROWS_AT_ONCE)
    ).all():
        last = rows[-1].id
        yield from rows
        session.flush()
        for row in rows:
            session.expunge(row)
