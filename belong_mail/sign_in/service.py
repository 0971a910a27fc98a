"""Asking for a sign-in link, and using it once."""

import json
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.models import SignIn
from belong_mail.db import now
from belong_mail.sealing import Sealer
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.service import SEALED
from belong_mail.tokens import BadToken

AGE = timedelta(minutes=10)


def ask(
    session: Session,
    sealer: Sealer,
    address: str,
    language: str,
    browser_hash: bytes,
    due_at: datetime,
) -> None:
    """Write down, sealed, that somebody wants to sign in; the worker knows whether they may."""
    wanted = {"address": address, "language": language, "browser_hash": browser_hash.hex()}
    sealed = sealer.seal(json.dumps(wanted).encode(), SEALED)
    session.add(Request(kind="sign-in", sealed=sealed, due_at=due_at))


def find(session: Session, public_id: str) -> SignIn:
    """Find a link that still works, or raise BadToken."""
    found = select(SignIn).where(
        SignIn.public_id == public_id,
        SignIn.used_at.is_(None),
        SignIn.created_at > now() - AGE,
    )
    sign_in = session.scalar(found)
    if sign_in is None:
        raise BadToken
    return sign_in


def use(session: Session, sign_in: SignIn) -> int:
    """Use a link up and return its account's id; raise BadToken if somebody was faster."""
    used = update(SignIn).where(SignIn.id == sign_in.id, SignIn.used_at.is_(None))
    account_id: int | None = session.scalar(used.values(used_at=now()).returning(SignIn.account_id))
    if account_id is None:
        raise BadToken
    return account_id
