"""Fresh proofs of identity, which consequential actions require.

An unattended browser or a stolen cookie is a session in someone else's hands. So views marked
`web.access.fresh_proof` act only within `FRESH_PROOF_AGE` of a sign-in: by an emailed link, by the
district's sign-in, or by a passkey. Email does not count for an account with one of the other two,
so that a mailbox alone is not enough.
"""

import secrets
from datetime import timedelta
from enum import StrEnum

from flask import session as cookie
from sqlalchemy.orm import Session

from belong_mail.accounts import signing_in
from belong_mail.accounts.jobs import SendSignInLink, SignInAgain
from belong_mail.accounts.models import Account
from belong_mail.accounts.session import (
    BACK_KEY,
    asking_browser,
    current_session,
    known_as,
)
from belong_mail.core.db import now
from belong_mail.core.services import Settings
from belong_mail.core.tokens import secret_hash
from belong_mail.web.access import ProofNeeded
from belong_mail.web.context import asking_source, page_of_press, services, throttle
from belong_mail.web.language import request_language

# Long enough to read a newsletter again and send it, or to invite some leaders; shorter than the
# idle timeout of half an hour.
FRESH_PROOF_AGE = timedelta(minutes=15)


def is_fresh() -> bool:
    proven_at = current_session().proven_at
    return proven_at is not None and now() - proven_at < FRESH_PROOF_AGE


def require_fresh() -> None:
    """Raise ProofNeeded if this session has no fresh proof."""
    if not is_fresh():
        raise ProofNeeded


class Way(StrEnum):
    """How a person can prove their identity."""

    EMAIL = "email"
    PASSKEY = "passkey"
    DISTRICT = "district"


def way(session: Session, settings: Settings, account: Account) -> Way:
    """Return the only way in which an account's owner can prove their identity."""
    if signing_in.uses_district(session, settings, account):
        return Way.DISTRICT
    return Way.PASSKEY if signing_in.has_passkey(session, account) else Way.EMAIL


def ask_for_link(session: Session, kind: type[SendSignInLink | SignInAgain], whom: str) -> None:
    """Have the worker email a link, to an address or to the account that signs in again."""
    asking = kind(
        whom,
        request_language(),
        secret_hash(asking_browser()).hex(),
        asking_source(),
        known_as(),
    )
    asking.ask(session, services().sealer, due_at=throttle(session, known_as=asking.known_as))


def remember_page() -> None:
    """Store the page that required the proof in the browser's signed cookie.

    A random fragment tells two tabs with this page apart: only the last may go on by itself.
    """
    cookie[BACK_KEY] = f"{page_of_press()}#{secrets.token_urlsafe(6)}"


def page_to_go_back_to() -> str | None:
    """Return the page that required the proof, if known."""
    page = cookie.get(BACK_KEY)
    return page if isinstance(page, str) else None
