"""Link the district's sign-in, or let somebody sign in by email again: for the worker.

The web can ask to link one, and could forge that: so its owner always hears of it, and one that was
written into the database in another way counts for nothing.
"""

import json

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, right_tasks
from belong_mail.accounts import service as accounts
from belong_mail.accounts.identities import LET_IN, LinkRequest
from belong_mail.accounts.models import Account, BrowserSession, Identity, Passkey, SignIn
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, Opener, UnknownKey
from belong_mail.core.district import District
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import LET_IN_RATE, LET_INS_RATE
from belong_mail.delivery import outbox

LINKED = "identity-linked"
SUBJECT_COLUMN = "identities.wrapped_subject"


class AnotherProvider(Exception):
    """BELONG_OIDC_ISSUER of the worker is not the web's: nobody can be linked."""


def receive_link(session: Session, keyring: Keyring, job: Job) -> None:
    """Link a sign-in to an account that has none, end its other sessions, and tell its owner."""
    asked = LinkRequest(**keyring.open_job(job))
    if not keyring.district.issuer or asked.issuer != keyring.district.issuer:
        raise AnotherProvider
    account = session.scalar(select(Account).where(Account.public_id == asked.account))
    if account is None or not accounts.may_sign_in(session, account):
        return
    invitations.account_address(keyring.opener, keyring.index, account)
    verify(session, keyring.opener, keyring.district)
    taken = Identity.name.in_(keyring.district.names(asked.subject))
    found = select(Identity.id).where((Identity.account_id == account.id) | taken)
    if session.scalar(found.limit(1)) is not None:
        return
    said = json.dumps([asked.issuer, asked.subject]).encode()
    identity = Identity(
        account_id=account.id,
        name=keyring.district.name(asked.subject),
        wrapped_subject=keyring.opener.wrap(said, SUBJECT_COLUMN, account.public_id),
    )
    session.add(identity)
    _end_access(session, account, but=asked.browser_session)
    audit.record(session, audit.Kind.IDENTITY_LINKED, actor=account, account=account)
    outbox.post(session, LINKED, account_id=account.id, about_id=account.id)


def receive_let_in(session: Session, keyring: Keyring, job: Job) -> None:
    """Let in on the word of a colleague who provably works for the office, never on one's own."""
    said = keyring.open_job(job)
    found = select(Account).where(Account.public_id.in_((said["by"], said["account"])))
    people = {each.public_id: each for each in session.scalars(found)}
    by, account = people.get(said["by"]), people.get(said["account"])
    if by is None or account is None or by is account:
        return
    if not accounts.has_office_right(session, by):
        return
    if not invitations.is_proven_office(keyring.opener, by):
        return
    of_account = b"let-in/" + account.public_id.encode()
    uses = ((of_account, LET_IN_RATE), (b"let-in", LET_INS_RATE))
    if rate_limits.try_uses(session, uses, now()):
        audit.set_actor(session, audit.Actor(audit.Role.ACCOUNT, by.public_id))
        let_in(session, keyring.opener, keyring.index, account)


def let_in(session: Session, opener: Opener, index: BlindIndex, account: Account) -> bool:
    """Forget an account's passkeys and district account; tell whether it had any.

    Then emailed links sign in. Its owner, the office and those who lead a group with them hear of
    it: whoever wants to get in by its mailbox would begin so. Raises DecryptionError when the
    account was changed in the database.
    """
    invitations.account_address(opener, index, account)
    gone = [
        session.execute(delete(each).where(each.account_id == account.id).returning(each.id)).all()
        for each in (Identity, Passkey)
    ]
    if not any(gone):
        return False
    _end_access(session, account)
    audit.record(session, audit.Kind.LET_IN, account=account)
    told = {account.id, *(each.id for each in right_tasks.office(session, opener))}
    for group in accounts.groups_of(session, account):
        leads = accounts.leads_of(session, group)
        told |= {
            each.id for each in leads if invitations.is_proven_lead(session, opener, each, group)
        }
    for account_id in sorted(told):
        outbox.post(session, LET_IN, account_id=account_id, about_id=account.id)
    return True


def is_linked(session: Session, keyring: Keyring, account: Account) -> bool:
    """Tell whether an account signs in by the provider that is configured, and by no link."""
    wrapped = select(Identity.wrapped_subject).where(Identity.account_id == account.id)
    said = _subject(keyring.opener, session.scalar(wrapped) or b"", account.public_id)
    return said is not None and said[0] == keyring.district.issuer


def verify(session: Session, opener: Opener, district: District) -> int:
    """Remove what nobody with these keys has linked, and name the rest by the newest key.

    Who breaks into the web could otherwise stay in, as somebody whose sign-in is theirs. Returns
    how many rows were wrong.
    """
    wrong = 0
    found = select(Identity, Account.public_id).join(Account)
    for identity, public_id in session.execute(found).all():
        said = _subject(opener, identity.wrapped_subject, public_id)
        if said is None:
            session.delete(identity)
            wrong += 1
        elif said[0] == district.issuer and identity.name != district.name(said[1]):
            identity.name = district.name(said[1])
            wrong += 1
    session.flush()
    return wrong


def _subject(opener: Opener, wrapped: bytes, account: str) -> tuple[str, str] | None:
    """Return issuer and subject as this side wrapped them for an account; else nothing.

    Raises UnknownKey while it is not known whether a key is missing here, or the bytes are bad.
    """
    try:
        issuer, subject = json.loads(opener.unwrap(wrapped, SUBJECT_COLUMN, account))
    except UnknownKey:
        raise
    except DecryptionError:
        return None
    return issuer, subject


def _end_access(session: Session, account: Account, but: str = "") -> None:
    """End an account's sessions but one, and the links that were mailed to it."""
    session.execute(
        delete(BrowserSession).where(
            BrowserSession.account_id == account.id, BrowserSession.public_id != but
        )
    )
    links = update(SignIn).where(SignIn.account_id == account.id, SignIn.used_at.is_(None))
    session.execute(links.values(used_at=now()))
