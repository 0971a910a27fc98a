"""Sign in by emailed links or the district; list passkeys, recognize known browsers."""

import hashlib
import hmac
from datetime import timedelta
from secrets import compare_digest

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.jobs import LinkIdentity, TellPasskeyChanged
from belong_mail.accounts.models import Account, Identity, Passkey, SignIn
from belong_mail.accounts.service import NotFound, may_sign_in
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.rate_limits import SIGN_IN_REFUSED_RATE, Limit
from belong_mail.core.services import Settings
from belong_mail.core.tokens import BadToken

LINK_MAX_AGE = timedelta(minutes=10)
MAX_PASSKEYS = 10


def find_sign_in(session: Session, public_id: str) -> SignIn:
    """Find a valid link of an account that may sign in. Raises BadToken."""
    found = (
        select(SignIn, Account)
        .join(Account)
        .where(
            SignIn.public_id == public_id,
            SignIn.used_at.is_(None),
            SignIn.created_at > now() - LINK_MAX_AGE,
        )
    )
    link, account = required(session.execute(found).first(), BadToken)
    if not may_sign_in(session, account):
        raise BadToken
    return link


def has_asked(session: Session, link: SignIn, browser_hash: bytes | None) -> bool:
    """Return whether a browser requested a link to this account within LINK_MAX_AGE.

    When rate limits refuse an email, the newest link works for all browsers that asked.
    """
    asked = select(SignIn.id).where(
        SignIn.account_id == link.account_id,
        SignIn.browser_hash == browser_hash,
        SignIn.created_at > now() - LINK_MAX_AGE,
    )
    return session.scalar(asked.limit(1)) is not None


def use_sign_in(session: Session, sign_in: SignIn) -> int:
    """Use up a link, and return its account's id. Raises BadToken if it was used meanwhile."""
    used = update(SignIn).where(SignIn.id == sign_in.id, SignIn.used_at.is_(None))
    account_id: int | None = session.scalar(used.values(used_at=now()).returning(SignIn.account_id))
    if account_id is None:
        raise BadToken
    return account_id


def record_refusal(
    session: Session, account: Account | None, why: str, table: rate_limits.Table = Limit
) -> None:
    """Record a refused sign-in, once an hour for each account and reason.

    An address without an account leaves nothing that identifies it.
    """
    name = account.public_id if account is not None else ""
    key = hashlib.sha256(f"sign-in-refused/{why}/{name}".encode()).digest()[:16]
    if rate_limits.try_use(session, key, SIGN_IN_REFUSED_RATE, now(), table=table):
        audit.record(session, audit.Kind.SIGN_IN_REFUSED, account=account, detail=why)


def browser_proof(account: Account, nonce: str) -> str:
    """Return a cookie's proof that an account signed in here; it does not identify the account."""
    digest = hashlib.sha256(f"known-browser/{nonce}/{account.public_id}".encode()).hexdigest()
    return nonce + digest


def is_known_browser(proof: str, account: Account) -> bool:
    nonce = proof[: -2 * hashlib.sha256().digest_size]
    return compare_digest(proof.encode(), browser_proof(account, nonce).encode())


def has_passkey(session: Session, account: Account) -> bool:
    found = select(Passkey.id).where(Passkey.account_id == account.id)
    return session.scalar(found.limit(1)) is not None


class PasskeyRefused(Exception):
    """The response proves nothing; has the reason and the passkey's owner, for the audit trail."""

    def __init__(self, why: str = "passkey", account: Account | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.account = account.public_id if account is not None else ""


def passkeys_of(session: Session, account: Account) -> list[Passkey]:
    """List an account's passkeys, oldest first."""
    found = select(Passkey).where(Passkey.account_id == account.id)
    return list(session.scalars(found.order_by(Passkey.id)))


def remove_passkey(session: Session, sealer: Sealer, account: Account, public_id: str) -> None:
    """Remove an account's passkey, and notify its owner. Raises NotFound."""
    gone = delete(Passkey).where(Passkey.account_id == account.id, Passkey.public_id == public_id)
    if session.execute(gone.returning(Passkey.id)).first() is None:
        raise NotFound
    audit.record(session, audit.Kind.PASSKEY_REMOVED, account=account)
    TellPasskeyChanged(account.public_id, "removed").ask(session, sealer)


class UnknownPerson(Exception):
    """The identity belongs to no account that may sign in; pages do not say why."""


def subject_hashes(settings: Settings, subject: str) -> list[bytes]:
    """Hash a person's issuer and subject with each secret key, newest first."""
    message = f"identity\x00{settings.oidc_issuer}\x00{subject}".encode()
    keys = reversed(settings.secret_keys)
    return [hmac.digest(key.encode(), message, hashlib.sha256) for key in keys]


def account_of(session: Session, settings: Settings, subject: str) -> Account:
    """Find the account of a district identity. Raises UnknownPerson."""
    is_theirs = Identity.name.in_(subject_hashes(settings, subject))
    found = select(Account).join(Identity).where(is_theirs)
    account = session.scalar(found)
    if account is None or not may_sign_in(session, account):
        raise UnknownPerson
    return account


def identity_of(session: Session, account: Account) -> Identity | None:
    return session.scalar(select(Identity).where(Identity.account_id == account.id))


def uses_district(session: Session, settings: Settings, account: Account) -> bool:
    """Return whether an account signs in by the configured provider."""
    return bool(settings.oidc_client_id) and identity_of(session, account) is not None


def ask_to_link(
    session: Session,
    sealer: Sealer,
    settings: Settings,
    account: Account,
    subject: str,
    browser_session: str,
) -> None:
    """Queue a job that links an identity. Raises UnknownPerson if it or the account is linked."""
    is_taken = Identity.name.in_(subject_hashes(settings, subject))
    taken = select(Identity.id).where((Identity.account_id == account.id) | is_taken)
    if session.scalar(taken.limit(1)) is not None:
        raise UnknownPerson
    asked = LinkIdentity(account.public_id, browser_session, settings.oidc_issuer, subject)
    asked.ask(session, sealer)
