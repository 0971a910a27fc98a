"""The worker's functions to email links for sign-in, and changes of passkeys."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, proven, signing_in
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import SendSignInLink, SignInAgain, TellPasskeyChanged
from belong_mail.accounts.models import Account, Right, SignIn
from belong_mail.accounts.right_tasks import post_to
from belong_mail.core import rate_limits
from belong_mail.core.db import new_public_id, now, update_if_free
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.rate_limits import (
    HOUR,
    PASSKEY_CHANGED_RATE,
    SIGN_IN_BROWSER_RATE,
    SIGN_IN_KNOWN_BROWSER_RATE,
    SIGN_IN_KNOWN_BROWSERS_RATE,
    SIGN_IN_SOURCE_RATE,
    SIGN_IN_STRANGERS_RATE,
    WorkerLimit,
)
from belong_mail.core.tokens import Purpose, link_hash
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer, Rows, signed_from
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import JobWork, Refused, Work, as_posted, does, with_link, writes
from belong_mail.mail import address

SIGN_IN, PASSKEY_CHANGED = "sign-in", "passkey-changed"
writes(PASSKEY_CHANGED)(as_posted)
# After this no one waits for a link any more.
MAX_WAIT = HOUR
CHANGES = ("added", "removed")


@does(SendSignInLink)
def receive_sign_in(work: JobWork, asked: SendSignInLink) -> None:
    """Email a link to the account with a typed address."""
    index = work.keys.index.account(address.normalise(asked.address))
    _email_link(work, asked, Account.address_index == index)


@does(SignInAgain)
def receive_sign_in_again(work: JobWork, asked: SignInAgain) -> None:
    """Email a link to an account that is signed in."""
    _email_link(work, asked, Account.public_id == asked.account, is_proof=True)


def _email_link(
    work: JobWork, asked: SendSignInLink | SignInAgain, which: ColumnElement[bool], **said: bool
) -> None:
    """Email a link to an account that may sign in; nothing to others, or after MAX_WAIT.

    Accounts that sign in by the district get none, so that a mailbox alone is not enough.

    A request over a rate limit is stored all the same, so that an earlier link works for it. The
    audit trail records each refusal.
    """
    if work.job.due_at < work.at - MAX_WAIT:
        raise Refused
    session, keys = work.session, work.keys
    # Parsed before any lookup: an error for known accounts only would reveal them.
    browser_hash = bytes.fromhex(asked.browser_hash)
    account = session.scalar(select(Account).where(which))
    if account is None or not (
        accounts.may_sign_in(session, account)
        or proven.rights(session, keys.opener, Right.account_id == account.id)
    ):
        why = "no-right" if account else "no-account"
        signing_in.record_refusal(session, account, why, WorkerLimit)
        raise Refused
    if identity_tasks.is_linked(work, account):
        raise Refused
    to, secret = proven.address_of(keys, account), new_public_id()
    link = SignIn(public_id=link_hash(secret), account_id=account.id, browser_hash=browser_hash)
    session.add(link)
    session.flush()
    uses = _uses(keys.index, account, address.normalise(to), asked)
    if not rate_limits.try_uses(session, uses, work.at):
        signing_in.record_refusal(session, account, "too-often", WorkerLimit)
        raise Refused
    # Only the email has the secret.
    rows = Rows(account_id=account.id, about_id=link.id)
    work.post(SIGN_IN, to, asked.language, None, rows, secret=secret, **said)


def _uses(
    index: BlindIndex, account: Account, identity: str, asked: SendSignInLink | SignInAgain
) -> list[tuple[bytes, rate_limits.Rate]]:
    """Return the rate limits of a link; a known browser has its own."""
    if signing_in.is_known_browser(asked.known_as, account):
        return [
            (index.limited("sign-in-known", asked.known_as, identity), SIGN_IN_KNOWN_BROWSER_RATE),
            (index.limited("sign-in-all-known", identity), SIGN_IN_KNOWN_BROWSERS_RATE),
        ]
    return [
        (index.limited("sign-in-browser", asked.browser_hash, identity), SIGN_IN_BROWSER_RATE),
        (index.limited("sign-in-source", asked.source, identity), SIGN_IN_SOURCE_RATE),
        (index.limited("sign-in-strangers", identity), SIGN_IN_STRANGERS_RATE),
    ]


@writes(SIGN_IN)
def link_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a link in the form's language.

    The link is valid from now; after MAX_WAIT the email expires unsent.
    """
    letter, at = as_posted(session, mailer, delivery), signed_from(delivery, Purpose.SIGN_IN)
    if now() > delivery.created_at + MAX_WAIT:
        raise SkipDelivery(State.EXPIRED)
    update_if_free(session, SignIn, SignIn.id == delivery.about_id, created_at=at)
    return with_link(mailer, letter, "sign_in.confirm", Purpose.SIGN_IN, at)


@does(TellPasskeyChanged)
def receive_change(work: Work, asked: TellPasskeyChanged) -> None:
    """Notify an account's owner that a passkey was added or removed.

    The web could have forged the job. So the email goes only to the account's verified address, and
    says nothing else.
    """
    account = proven.account(work, asked.account)
    if asked.what not in CHANGES or not accounts.may_sign_in(work.session, account):
        raise Refused
    work.use(b"passkey/" + account.public_id.encode(), PASSKEY_CHANGED_RATE)
    post_to(work.session, work.keys, PASSKEY_CHANGED, account, what=asked.what)
