"""Find whom the district's sign-in belongs to, and ask the worker to link one."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import LinkIdentity
from belong_mail.accounts.models import Account, Identity
from belong_mail.core.district import District
from belong_mail.core.encryption import Sealer
from belong_mail.core.services import Settings


class UnknownPerson(Exception):
    """The district's proof belongs to no account that may sign in; nobody is told why."""


def account_of(session: Session, district: District, subject: str) -> Account:
    """Find the account that a person of the district's signs in to, or raise UnknownPerson."""
    found = select(Account).join(Identity).where(Identity.name.in_(district.names(subject)))
    account = session.scalar(found)
    if account is None or not accounts.may_sign_in(session, account):
        raise UnknownPerson
    return account


def identity_of(session: Session, account: Account) -> Identity | None:
    return session.scalar(select(Identity).where(Identity.account_id == account.id))


def is_used(session: Session, settings: Settings, account: Account) -> bool:
    """Tell whether an account signs in by the provider that is configured here."""
    return bool(settings.oidc_client_id) and identity_of(session, account) is not None


def ask_to_link(
    session: Session,
    sealer: Sealer,
    district: District,
    account: Account,
    subject: str,
    browser_session: str,
) -> None:
    """Ask the worker to link; raise UnknownPerson where one of the two is linked already."""
    taken = select(Identity.id).where(
        (Identity.account_id == account.id) | Identity.name.in_(district.names(subject))
    )
    if session.scalar(taken.limit(1)) is not None:
        raise UnknownPerson
    asked = LinkIdentity(account.public_id, browser_session, district.issuer, subject)
    asked.ask(session, sealer)
