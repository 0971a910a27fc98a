"""What the worker must know of accounts: their emails, jobs, retention and wrapped columns."""

from functools import partial

from sqlalchemy import delete, select

from belong_mail.accounts import (
    emails,
    identities,
    identity_tasks,
    right_tasks,
    tasks,
)
from belong_mail.accounts.invitations import ADDRESS_COLUMN, INVITATION, OFFICE_RIGHT, RIGHT
from belong_mail.accounts.models import (
    Account,
    BrowserSession,
    GroupLead,
    Identity,
    Passkey,
    SignIn,
)
from belong_mail.accounts.retention import (
    passkeys_of_nobody,
    purge_audit,
    purge_invitations,
)
from belong_mail.accounts.signing_in import PASSKEY_CHANGED, PROOF
from belong_mail.core.retention import SESSION_AGE, in_batches, older_than
from belong_mail.core.tokens import Purpose
from belong_mail.delivery.room import Room, WrappedColumn
from belong_mail.groups.models import Group

_LEAD = select(Account.public_id).where(Account.id == GroupLead.account_id).scalar_subquery()
_GROUP = select(Group.public_id).where(Group.id == GroupLead.group_id).scalar_subquery()
_OF_IDENTITY = select(Account.public_id).where(Account.id == Identity.account_id).scalar_subquery()
ACCOUNTS = Room(
    emails={
        "sign-in": partial(tasks.link_email, "sign_in.confirm", Purpose.SIGN_IN),
        PROOF: partial(tasks.link_email, "sign_in.prove", Purpose.PROOF),
        INVITATION: emails.invitation,
        PASSKEY_CHANGED: tasks.change_email,
        identity_tasks.LINKED: emails.sign_in_changed,
        identities.LET_IN: emails.sign_in_changed,
        right_tasks.CHANGED: emails.rights_changed,
        right_tasks.ENDING: emails.right_ends,
    },
    tasks={
        "sign-in": tasks.receive_sign_in,
        PROOF: tasks.receive_proof,
        PASSKEY_CHANGED: tasks.receive_change,
        identities.LINK: identity_tasks.receive_link,
        identities.LET_IN: identity_tasks.receive_let_in,
        "invite-again": right_tasks.receive_repetition,
    },
    mailer_tasks={
        "invite-colleague": right_tasks.receive_invitation,
        "right-accepted": right_tasks.receive_acceptance,
        "right-removed": right_tasks.receive_removal,
    },
    lookups=("sign-in", "invite-colleague"),
    retention={
        "sessions": in_batches(
            delete(BrowserSession), older_than(BrowserSession.started_at, SESSION_AGE)
        ),
        "sign ins": in_batches(delete(SignIn), older_than(SignIn.created_at, SESSION_AGE)),
        "passkeys": in_batches(delete(Passkey), passkeys_of_nobody),
        "invitations": purge_invitations,
        "audit entries": purge_audit,
    },
    wrapped=(
        WrappedColumn(Account.wrapped_address, ADDRESS_COLUMN, Account.public_id),
        WrappedColumn(Account.wrapped_office, OFFICE_RIGHT, Account.public_id),
        WrappedColumn(Identity.wrapped_subject, identity_tasks.SUBJECT_COLUMN, _OF_IDENTITY),
        WrappedColumn(GroupLead.wrapped_right, RIGHT, _LEAD + "/" + _GROUP),
    ),
)
