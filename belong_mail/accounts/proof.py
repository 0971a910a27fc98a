"""A fresh proof of identity, asked for before a consequential act.

A browser that was left alone, or a stolen cookie, is a session in someone else's hands. Views
marked `web.access.fresh_proof` act only within `FRESH_PROOF_AGE` of a sign-in or a later proof: by
a link emailed for this session, by the district's sign-in, or by a passkey. People with one of the
latter two cannot prove it by email: a mailbox alone does not decide.
"""

from datetime import timedelta
from enum import StrEnum

from flask import session as cookie
from sqlalchemy.orm import Session

from belong_mail.accounts import signing_in
from belong_mail.accounts.jobs import SendProofLink
from belong_mail.accounts.models import Account, BrowserSession, SignIn
from belong_mail.accounts.session import current_session
from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.encryption import Sealer
from belong_mail.core.services import Settings
from belong_mail.web.context import page_of_press

# Long enough to read a newsletter once more and send it, or to invite some leads; shorter than the
# half hour after which an idle browser is signed out.
FRESH_PROOF_AGE = timedelta(minutes=15)
BACK_KEY = "back"


def is_fresh() -> bool:
    """Return whether this session was proved recently."""
    proven_at = current_session().proven_at
    return proven_at is not None and now() - proven_at < FRESH_PROOF_AGE


class Way(StrEnum):
    """A way to prove who one is."""

    EMAIL = "email"
    PASSKEY = "passkey"
    DISTRICT = "district"


def way(session: Session, settings: Settings, account: Account) -> Way:
    """Return the one way in which an account's owner can prove who they are."""
    if signing_in.uses_district(session, settings, account):
        return Way.DISTRICT
    return Way.PASSKEY if signing_in.has_passkey(session, account) else Way.EMAIL


def ask_for_link(session: Session, sealer: Sealer, account: Account, language: str) -> None:
    """Ask the worker to email a link that proves identity for this session only."""
    SendProofLink(account.public_id, current_session().public_id, language).ask(session, sealer)
    audit.record(session, audit.Kind.PROOF_ASKED)


def may_use(session: Session, link: SignIn, account: Account) -> bool:
    """Return whether this session asked for a link, and its owner has no passkey."""
    is_for_here = link.browser_hash == current_session().token_hash
    return is_for_here and not signing_in.has_passkey(session, account)


def prove(session: Session, account: Account, how: str) -> None:
    """Count this session as proved now; `how` is for the audit trail."""
    proven = session.get_one(BrowserSession, current_session().id)
    proven.proven_at = now()
    audit.record(session, audit.Kind.PROVEN, actor=account, browser_session=proven, detail=how)


def remember_page() -> None:
    """Remember, in the browser's signed cookie, the page that needed the proof."""
    cookie[BACK_KEY] = page_of_press()


def page_to_go_back_to() -> str | None:
    """Return the page that needed the proof."""
    page = cookie.get(BACK_KEY)
    return page if isinstance(page, str) else None
