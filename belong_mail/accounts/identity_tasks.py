"""The worker's functions to link the district's sign-in, and to return to emailed links.

An intruder in the web can forge a job that links. So the account's owner is always notified, and
only identities that the worker has wrapped are valid.
"""

import json

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import proven, right_tasks
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import LetIn, LinkIdentity
from belong_mail.accounts.models import Account, BrowserSession, Identity, Passkey, Right, SignIn
from belong_mail.accounts.signing_in import subject_hashes
from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener, UnknownKey
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.rate_limits import LET_IN_RATE, LET_INS_RATE
from belong_mail.delivery.mailer import post_to_address
from belong_mail.delivery.work import (
    WRAPPED_COLUMNS,
    Refused,
    Work,
    WrappedColumn,
    as_posted,
    does,
    each_minute,
    writes,
)

LINKED, LET_IN = "identity-linked", "let-in"
writes(LINKED, LET_IN)(as_posted)
SUBJECT_COLUMN = "identities.wrapped_subject"
_OWNER = select(Account.public_id).where(Account.id == Identity.account_id).scalar_subquery()
WRAPPED_COLUMNS.append(WrappedColumn(Identity.wrapped_subject, SUBJECT_COLUMN, _OWNER))


class AnotherProvider(Exception):
    """The worker's BELONG_OIDC_ISSUER is not the web's, so no identity can be linked."""


@does(LinkIdentity)
def receive_link(work: Work, asked: LinkIdentity) -> None:
    """Link a district identity to an account without one, end its other sessions, and notify."""
    session, keys, issuer = work.session, work.keys, work.settings.oidc_issuer
    if not issuer or asked.issuer != issuer:
        raise AnotherProvider
    account = proven.account(work, asked.account)
    if not accounts.may_sign_in(session, account):
        raise Refused
    proven.address_of(keys, account)
    verify(work)
    hashes = subject_hashes(work.settings, asked.subject)
    taken = Identity.name.in_(hashes)
    found = select(Identity.id).where((Identity.account_id == account.id) | taken)
    if session.scalar(found.limit(1)) is not None:
        raise Refused
    said = json.dumps([asked.issuer, asked.subject]).encode()
    identity = Identity(
        account_id=account.id,
        name=hashes[0],
        wrapped_subject=keys.opener.wrap(said, SUBJECT_COLUMN, account.public_id),
    )
    session.add(identity)
    _end_access(session, account, but=asked.browser_session)
    audit.record(session, audit.Kind.IDENTITY_LINKED, actor=account, account=account)
    right_tasks.post_to(session, keys, LINKED, account, is_own=True, name="")


@does(LetIn)
def receive_let_in(work: Work, asked: LetIn) -> None:
    """Let someone sign in by emailed links again, if someone of the office provably asks."""
    by, account = proven.office(work, asked.by), proven.account(work, asked.account)
    if by is account:
        raise Refused
    of_account = b"let-in/" + account.public_id.encode()
    work.use_each(((of_account, LET_IN_RATE), (b"let-in", LET_INS_RATE)))
    audit.set_actor(work.session, audit.Actor(audit.Role.ACCOUNT, by.public_id))
    let_in(work.session, work.keys, work.settings.contact_inbox, account)


def let_in(session: Session, keyring: Keyring, inbox: str, account: Account) -> bool:
    """Delete an account's passkeys and identity; return whether it had any.

    Emailed links then work again. Notifies the owner, the office and the owner's fellow leaders, as
    an intruder in a mailbox would start like this. Raises DecryptionError if the account's row was
    forged.
    """
    opener = keyring.opener
    proven.address_of(keyring, account)
    gone = [
        session.execute(delete(each).where(each.account_id == account.id).returning(each.id)).all()
        for each in (Identity, Passkey)
    ]
    if not any(gone):
        return False
    _end_access(session, account)
    audit.record(session, audit.Kind.LET_IN, account=account)
    name = right_tasks.plain_name(account.name)
    post_to_address(session, keyring, LET_IN, inbox, DEFAULT, is_own=False, name=name)
    led = [each.group for each in proven.rights(session, opener, Right.account_id == account.id)]
    for one in dict.fromkeys((account, *proven.concerned(session, opener, led))):
        right_tasks.post_to(session, keyring, LET_IN, one, is_own=one is account, name=name)
    return True


def is_linked(work: Work, account: Account) -> bool:
    """Return whether an account signs in by the configured provider only."""
    wrapped = select(Identity.wrapped_subject).where(Identity.account_id == account.id)
    found = work.session.scalar(wrapped) or b""
    said = _subject(work.keys.opener, found, account.public_id)
    return said is not None and said[0] == work.settings.oidc_issuer


@each_minute("District sign-ins are unproven", select(Identity.id).exists())
def verify(work: Work) -> int:
    """Delete identities that the worker did not wrap, and rehash the others with the newest key.

    Otherwise an intruder in the web could keep a way in by an identity of their own. Returns the
    number of rows changed.
    """
    session, settings, wrong = work.session, work.settings, 0
    found = select(Identity, Account.public_id).join(Account)
    for identity, public_id in session.execute(found).all():
        said = _subject(work.keys.opener, identity.wrapped_subject, public_id)
        if said is None:
            session.delete(identity)
            wrong += 1
        elif said[0] == settings.oidc_issuer:
            name = subject_hashes(settings, said[1])[0]
            wrong += identity.name != name
            identity.name = name
    session.flush()
    return wrong


def _subject(opener: Opener, wrapped: bytes, account: str) -> tuple[str, str] | None:
    """Return issuer and subject as the worker wrapped them for an account, or None.

    Raises UnknownKey while a missing key and corrupt data cannot be told apart.
    """
    try:
        issuer, subject = json.loads(opener.unwrap(wrapped, SUBJECT_COLUMN, account))
    except UnknownKey:
        raise
    except DecryptionError:
        return None
    return issuer, subject


def _end_access(session: Session, account: Account, but: str = "") -> None:
    """End an account's sessions but one, and its emailed links."""
    session.execute(
        delete(BrowserSession).where(
            BrowserSession.account_id == account.id, BrowserSession.public_id != but
        )
    )
    links = update(SignIn).where(SignIn.account_id == account.id, SignIn.used_at.is_(None))
    session.execute(links.values(used_at=now()))
