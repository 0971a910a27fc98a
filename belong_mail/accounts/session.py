"""Sign-in sessions: a token in the cookie, its hash in a row that can be deleted."""

import secrets
from datetime import timedelta

from flask import Response, current_app, g, make_response, redirect, request, url_for
from flask import session as cookie
from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import MAX_SESSION_AGE, Account, BrowserSession, Right
from belong_mail.accounts.people import end_sessions
from belong_mail.accounts.service import IS_HELD, LEADS, NotFound, has_right
from belong_mail.accounts.signing_in import browser_proof
from belong_mail.core import audit
from belong_mail.core.db import ago, now
from belong_mail.core.tokens import BadToken, Purpose, secret_hash
from belong_mail.web.context import known_cookie, services

IDLE_TIMEOUT = timedelta(minutes=30)
TOKEN_KEY, SEEN_KEY = "session", "seen"
# The page that needed a fresh proof.
BACK_KEY = "back"
# The page that a browser asked for before it was signed in.
WANTED_KEY = "wanted"
HOMES = "lead.home", "office.home"
# Kept when the same account signs in again, so that open forms still work.
KEPT_KEYS = ("csrf_token", BACK_KEY)
# Built once, as each page of signed-in people runs it.
SIGNED_IN = (
    select(
        Account,
        BrowserSession,
        exists().where(Right.account_id == Account.id, Right.group_id.is_(None), IS_HELD),
        exists().where(Right.account_id == Account.id, LEADS),
    )
    .join(BrowserSession)
    .where(
        BrowserSession.token_hash == bindparam("token_hash"),
        BrowserSession.started_at > ago(MAX_SESSION_AGE),
    )
)


def start_session(
    session: Session, account: Account, how: str = "", *, is_proven: bool = True
) -> None:
    """Sign this browser in with a new token; `how` is for the audit trail.

    Ends its earlier session. Without `is_proven`, actions that require a fresh proof ask for one.
    """
    before = current_account(session)
    kept = {WANTED_KEY: cookie[WANTED_KEY]} if WANTED_KEY in cookie else {}
    token = cookie.get(TOKEN_KEY, "")
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == secret_hash(token)))
    if before is account and is_proven:
        kept |= {key: cookie[key] for key in KEPT_KEYS if key in cookie}
    token = secrets.token_urlsafe(32)
    started = BrowserSession(
        account_id=account.id,
        token_hash=secret_hash(token),
        proven_at=now() if is_proven else None,
    )
    session.add(started)
    session.flush()
    g.is_office = has_right(session, account, None)
    audit.record(session, audit.Kind.SIGNED_IN, actor=account, browser_session=started, detail=how)
    cookie.clear()
    cookie.update(kept, **{TOKEN_KEY: token, SEEN_KEY: int(now().timestamp())})


def current_account(session: Session) -> Account | None:
    """Return the signed-in account, or None after IDLE_TIMEOUT or MAX_SESSION_AGE.

    The time of the last request is in the signed cookie, so that a GET writes nothing. Sets the
    actor of the audit trail for this request.
    """
    token, seen = cookie.get(TOKEN_KEY), cookie.get(SEEN_KEY)
    if not isinstance(token, str) or not isinstance(seen, int):
        return None
    at = now()
    if at.timestamp() - seen > IDLE_TIMEOUT.total_seconds():
        return None
    row = session.execute(SIGNED_IN, {"token_hash": secret_hash(token)}).first()
    if row is None:
        return None
    account, g.browser_session, g.is_office, g.leads_any = row
    cookie[SEEN_KEY] = int(at.timestamp())
    g.actor = audit.Actor(audit.Role.ACCOUNT, account.public_id, g.browser_session.public_id)
    g.session_last_end = g.browser_session.last_end
    g.session_ends = min(at + IDLE_TIMEOUT, g.session_last_end)
    return account


def has_ended(session: Session) -> bool:
    """Return whether this browser was signed in, and did not sign itself out."""
    return TOKEN_KEY in cookie and current_account(session) is None


def current_session() -> BrowserSession:
    """Return the session of this request, on a page for signed-in people."""
    browser_session: BrowserSession = g.browser_session
    return browser_session


def end_session(session: Session) -> None:
    """Sign this browser out."""
    token = cookie.get(TOKEN_KEY, "")
    ended = delete(BrowserSession).where(BrowserSession.token_hash == secret_hash(token))
    if session.execute(ended.returning(BrowserSession.id)).first() is not None:
        audit.record(session, audit.Kind.SIGNED_OUT)
    cookie.clear()


def sessions_of(session: Session, account: Account) -> list[BrowserSession]:
    """List an account's sessions, newest first."""
    found = select(BrowserSession).where(
        BrowserSession.account_id == account.id,
        BrowserSession.started_at > now() - MAX_SESSION_AGE,
    )
    return list(session.scalars(found.order_by(BrowserSession.started_at.desc())))


def end_one(session: Session, account: Account, public_id: str) -> None:
    """End one session of an account. Raises NotFound."""
    gone = delete(BrowserSession).where(
        BrowserSession.account_id == account.id, BrowserSession.public_id == public_id
    )
    if session.execute(gone.returning(BrowserSession.id)).first() is None:
        raise NotFound
    audit.record(session, audit.Kind.SESSIONS_ENDED, account=account)


def end_others(session: Session, account: Account) -> None:
    """End all sessions of an account but this one."""
    end_sessions(session, account, BrowserSession.id != current_session().id)


def signed_in() -> Account:
    """Return the account of this request, on a page for signed-in people."""
    account: Account = g.account
    return account


def asking_browser() -> str:
    """Return the secret of this browser, made on first use, to which a sign-in link is bound."""
    nonce = cookie.get("asking")
    if not isinstance(nonce, str):
        nonce = cookie["asking"] = secrets.token_urlsafe(24)
    return nonce


def remember_wanted() -> None:
    """Store the page that is asked for in the signed cookie, to go on to it after signing in.

    Not what a script or a picture of ours asks for.
    """
    is_page = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    if is_page and request.endpoint and request.endpoint not in HOMES:
        cookie[WANTED_KEY] = url_for(request.endpoint, **(request.view_args or {}))


def asked_as() -> bytes | None:
    """Return the hash of `asking_browser`, or None if this browser has not requested a link."""
    nonce = cookie.get("asking")
    return secret_hash(nonce) if isinstance(nonce, str) else None


def go_home(account: Account, done: str | None = None) -> Response:
    """Redirect to the page that was asked for, or home; set the known-browser cookie.

    The page says what was `done`. The cookie identifies no one; all it does is to give the
    account's owner rate limits for sign-in links that strangers cannot use up.
    """
    wanted = cookie.pop(WANTED_KEY, None)
    if BACK_KEY in cookie:
        at = url_for("account.proven")
    elif wanted and not done:
        at = wanted
    else:
        at = url_for("office.home" if g.is_office else "lead.home", done=done)
    answer = make_response(redirect(at, 303))
    proof = browser_proof(account, secrets.token_urlsafe(16))
    answer.set_cookie(
        known_cookie(),
        services().tokens.sign(Purpose.KNOWN_BROWSER, proof, now()),
        max_age=Purpose.KNOWN_BROWSER.max_age,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return answer


def forget_browser(answer: Response) -> None:
    """Delete the known-browser cookie."""
    is_secure = current_app.config["SESSION_COOKIE_SECURE"]
    answer.delete_cookie(known_cookie(), secure=is_secure, httponly=True, samesite="Lax")


def known_as() -> str:
    """Return the proof that an account has signed in in this browser, or ""."""
    try:
        return services().tokens.read(
            Purpose.KNOWN_BROWSER, request.cookies.get(known_cookie(), "")
        )
    except BadToken:
        return ""


def was_signed_in() -> bool:
    """Return whether an account has ever signed in in this browser."""
    return TOKEN_KEY in cookie or bool(known_as())
