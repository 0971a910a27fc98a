"""Recover an account whose passkeys are lost: by its mailbox, a day after others have heard of it.

Whoever opens an emailed link of an account with a passkey can only ask for this. The worker begins
it, and tells the owner, the office and the other leaders of their groups at once.
"""

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import Delete, delete, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, BrowserSession, Passkey, Recovery, SignIn
from belong_mail.accounts.service import has_passkey, use_sign_in
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import seal_job
from belong_mail.core.retention import RECOVERY_AGE
from belong_mail.core.tokens import BadToken

# The request and the email of a recovery.
RECOVERY = "recovery"
# So long those who are told have to say that it was not them.
WAIT = timedelta(hours=24)
# What the worker is told of.
STARTED, RECOVERED, LET_IN = "started", "recovered", "let-in"


class Stage(StrEnum):
    """What an emailed link of an account does."""

    # It signs in: the account has no passkey.
    SIGN_IN = "sign-in"
    # It asks for a recovery, and does nothing while one waits.
    ASK = "ask"
    WAIT = "wait"
    # It removes the passkeys and signs in.
    RECOVER = "recover"


def find(session: Session, account: Account) -> Recovery | None:
    """Find the recovery of an account that was begun and is neither used nor over."""
    found = select(Recovery).where(
        Recovery.account_id == account.id,
        Recovery.used_at.is_(None),
        Recovery.started_at > now() - RECOVERY_AGE,
    )
    return session.scalar(found)


def stage(session: Session, account: Account) -> Stage:
    """Say what an emailed link does now."""
    if not has_passkey(session, account):
        return Stage.SIGN_IN
    recovery = find(session, account)
    if recovery is None:
        return Stage.ASK
    return Stage.RECOVER if recovery.started_at + WAIT <= now() else Stage.WAIT


def ask(session: Session, sealer: Sealer, link: SignIn, account: Account) -> None:
    """Use a sign-in link up, and have the worker begin a recovery; raise BadToken if it is used."""
    use_sign_in(session, link)
    tell(session, sealer, account, STARTED, link=link.public_id)
    audit.record(session, Kind.RECOVERY_ASKED, account=account)


def recover(session: Session, sealer: Sealer, account: Account) -> None:
    """Remove what is lost, end all sessions, and have the same people told.

    Raises BadToken unless there is a recovery whose day has passed: somebody may have stopped it.
    """
    _use(session, account)
    forget_passkeys(session, account)
    session.get_one(Account, account.id).passkey_declined_at = None
    tell(session, sealer, account, RECOVERED)
    audit.record(session, Kind.RECOVERED, account=account)


def _use(session: Session, account: Account) -> None:
    """Use an account's recovery up, once; it stays until the worker has told of it."""
    at = now()
    used = update(Recovery).where(
        Recovery.account_id == account.id,
        Recovery.used_at.is_(None),
        Recovery.started_at > at - RECOVERY_AGE,
        Recovery.started_at <= at - WAIT,
    )
    if session.scalar(used.values(used_at=at).returning(Recovery.id)) is None:
        raise BadToken


def forget_passkeys(session: Session, account: Account) -> None:
    """Let an account sign in by emailed links again; nobody stays signed in by what was lost."""
    for table in (Passkey, BrowserSession):
        session.execute(delete(table).where(table.account_id == account.id))
    session.execute(_stopped(account))


def stop(session: Session, account: Account) -> None:
    """End an account's recovery, if there is one: its owner signed in, or the office says so."""
    if session.execute(_stopped(account).returning(Recovery.id)).first() is not None:
        audit.record(session, Kind.RECOVERY_STOPPED, account=account)


def _stopped(account: Account) -> Delete:
    """Delete what was not used: the worker tells of the rest."""
    return delete(Recovery).where(Recovery.account_id == account.id, Recovery.used_at.is_(None))


def owner_of(session: Session, public_id: str) -> Account:
    """Find whose recovery an emailed link stops, or raise BadToken."""
    found = (
        select(Account)
        .join(Recovery)
        .where(Recovery.public_id == public_id, Recovery.used_at.is_(None))
    )
    return required(session.scalar(found), BadToken)


def tell(session: Session, sealer: Sealer, account: Account, what: str, **said: str) -> None:
    """Ask the worker to act on what happened, and to tell those concerned."""
    seal_job(session, sealer, RECOVERY, {"account": account.public_id, "what": what, **said})
