"""The worker's functions to email links for sign-in and proofs, and changes of passkeys."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, proven, signing_in
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import SendProofLink, SendSignInLink, TellPasskeyChanged
from belong_mail.accounts.models import MAX_SESSION_AGE, Account, BrowserSession, SignIn
from belong_mail.accounts.right_tasks import post_to
from belong_mail.core import rate_limits
from belong_mail.core.db import new_public_id, now, update_if_free
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.rate_limits import (
    HOUR,
    PASSKEY_CHANGED_RATE,
    PROOF_RATE,
    PROOFS_RATE,
    SIGN_IN_BROWSER_RATE,
    SIGN_IN_KNOWN_BROWSER_RATE,
    SIGN_IN_KNOWN_BROWSERS_RATE,
    SIGN_IN_SOURCE_RATE,
    SIGN_IN_STRANGERS_RATE,
    WorkerLimit,
)
from belong_mail.core.tokens import Purpose, link_hash
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import (
    Email,
    Mailer,
    Rows,
    post_to_address,
    read_posted,
    signed_from,
)
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import JobWork, Refused, Work, does, writes
from belong_mail.mail import address

SIGN_IN, PROOF, PASSKEY_CHANGED = "sign-in", "proof", "passkey-changed"
LINKS = {
    SIGN_IN: ("sign_in.confirm", Purpose.SIGN_IN),
    PROOF: ("sign_in.prove", Purpose.PROOF),
}
# After this no one waits for a link any more.
MAX_WAIT = HOUR
CHANGES = ("added", "removed")


@does(SendSignInLink)
def receive_sign_in(work: JobWork, asked: SendSignInLink) -> None:
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
    identity = address.normalise(asked.address)
    found = select(Account).where(Account.address_index == keys.index.account(identity))
    account = session.scalar(found)
    if account is None or not (
        accounts.may_sign_in(session, account)
        or invitations.proven_rights(session, keys.opener, account)
    ):
        why = "no-right" if account else "no-account"
        signing_in.record_refusal(session, account, why, WorkerLimit)
        raise Refused
    if identity_tasks.is_linked(session, keys, account):
        raise Refused
    secret = new_public_id()
    sign_in = _add_link(session, account, secret, browser_hash)
    if not rate_limits.try_uses(session, _uses(keys.index, account, identity, asked), work.at):
        signing_in.record_refusal(session, account, "too-often", WorkerLimit)
        raise Refused
    _post_link(work, SIGN_IN, account, sign_in, secret, asked.language)


@does(SendProofLink)
def receive_proof(work: JobWork, asked: SendProofLink) -> None:
    """Email a link for a fresh proof in one session of an account.

    The web could have forged the job. So the email goes only to the account's verified address, and
    only if it has no passkey or identity. Over a rate limit, an earlier link works.
    """
    if work.job.due_at < work.at - MAX_WAIT:
        raise Refused
    session, keys, account = work.session, work.keys, proven.account(work, asked.account)
    found = select(BrowserSession).where(
        BrowserSession.account_id == account.id,
        BrowserSession.public_id == asked.session,
        BrowserSession.started_at > work.at - MAX_SESSION_AGE,
    )
    browser_session = session.scalar(found)
    if browser_session is None or not accounts.may_sign_in(session, account):
        raise Refused
    invitations.account_address(keys.opener, keys.index, account)
    if signing_in.has_passkey(session, account):
        raise Refused
    if identity_tasks.is_linked(session, keys, account):
        raise Refused
    of_session = keys.index.limited("proof", browser_session.public_id)
    of_account = keys.index.limited("proofs", account.public_id)
    work.use_each([(of_session, PROOF_RATE), (of_account, PROOFS_RATE)])
    secret = new_public_id()
    link = _add_link(session, account, secret, browser_session.token_hash)
    _post_link(work, PROOF, account, link, secret, asked.language)


def _add_link(session: Session, account: Account, secret: str, browser_hash: bytes) -> SignIn:
    link = SignIn(public_id=link_hash(secret), account_id=account.id, browser_hash=browser_hash)
    session.add(link)
    session.flush()
    return link


def _post_link(
    work: Work, kind: str, account: Account, link: SignIn, secret: str, language: str
) -> None:
    """Email a link to an account's verified address; nothing else has its secret."""
    to = invitations.account_address(work.keys.opener, work.keys.index, account)
    rows = Rows(account_id=account.id, about_id=link.id)
    post_to_address(work.session, work.keys, kind, to, language, None, rows, secret=secret)


def _uses(
    index: BlindIndex, account: Account, identity: str, asked: SendSignInLink
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


@writes(*LINKS)
def link_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a link in the form's language.

    It is valid from now; after MAX_WAIT the email expires unsent.
    """
    endpoint, purpose = LINKS[delivery.kind]
    to, said = read_posted(mailer.opener, delivery)
    if now() > delivery.created_at + MAX_WAIT:
        raise SkipDelivery(State.EXPIRED)
    at, language = signed_from(delivery, purpose), said["language"]
    update_if_free(session, SignIn, SignIn.id == delivery.about_id, created_at=at)
    link = mailer.links.signed(endpoint, purpose, said["secret"], at, language)
    return Email(to=to, language=language, context={"link_url": link})


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


@writes(PASSKEY_CHANGED)
def change_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Notify someone that their passkeys have changed, and what to do about it."""
    to, said = read_posted(mailer.opener, delivery)
    url = mailer.links.page("contact.write", said["language"])
    context = {"is_added": said["what"] == "added", "contact_url": url}
    return Email(to, said["language"], context)
