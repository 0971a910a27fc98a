"""Sessions: a random token in the cookie, its hash in a row that can be ended."""

import hashlib
import secrets
from datetime import timedelta

from flask import g
from flask import session as cookie
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, BrowserSession
from belong_mail.db import now

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
TOKEN, SEEN = "session", "seen"


def begin(session: Session, account_id: int) -> None:
    """Sign this browser in, under a token it has never had before."""
    token = secrets.token_urlsafe(32)
    session.add(BrowserSession(account_id=account_id, token_hash=_hash(token)))
    cookie.clear()
    cookie[TOKEN], cookie[SEEN] = token, int(now().timestamp())


def current(session: Session) -> Account | None:
    """Return who is signed in here; nobody after half an hour of rest, or half a day.

    When the browser was last seen stands in its signed cookie, so that a GET writes nothing.
    """
    token, seen = cookie.get(TOKEN), cookie.get(SEEN)
    if not isinstance(token, str) or not isinstance(seen, int):
        return None
    at = now()
    if at.timestamp() - seen > IDLE.total_seconds():
        return None
    found = (
        select(Account)
        .join(BrowserSession)
        .where(BrowserSession.token_hash == _hash(token), BrowserSession.started_at > at - LONGEST)
    )
    account = session.scalar(found)
    if account is not None:
        cookie[SEEN] = int(at.timestamp())
    return account


def end(session: Session) -> None:
    """Sign this browser out."""
    token = cookie.get(TOKEN, "")
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == _hash(token)))
    cookie.clear()


def end_all(session: Session, account_id: int) -> None:
    """Sign an account out everywhere."""
    session.execute(delete(BrowserSession).where(BrowserSession.account_id == account_id))


def signed_in() -> Account:
    """Return whose request this is, on a page that strangers do not reach."""
    account: Account = g.account
    return account


def asking_browser() -> str:
    """Return what names this browser while it waits for a sign-in link; made on first use."""
    nonce = cookie.get("asking")
    if not isinstance(nonce, str):
        nonce = cookie["asking"] = secrets.token_urlsafe(24)
    return nonce


def is_asking(browser_hash: bytes) -> bool:
    """Tell whether this is the browser that asked for a link."""
    nonce = cookie.get("asking")
    return isinstance(nonce, str) and secrets.compare_digest(_hash(nonce), browser_hash)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


browser_hash = _hash
