"""Email an account: a link to sign in or to prove it again, and that its passkeys changed."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, signing_in
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import MAX_SESSION_AGE, Account, BrowserSession, SignIn
from belong_mail.accounts.right_tasks import post_to
from belong_mail.accounts.signing_in import PASSKEY_CHANGED, PROOF, SignInRequest
from belong_mail.core import rate_limits
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, Keyring
from belong_mail.core.jobs import Job
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
    try_use,
)
from belong_mail.core.tokens import Purpose, name_of
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
from belong_mail.mail import address

SIGN_IN = "sign-in"
# For how long somebody looks for a link that they asked for.
MAX_WAIT = HOUR
CHANGES = ("added", "removed")


def receive_sign_in(session: Session, keyring: Keyring, job: Job) -> None:
    """Mail a link to a lead; to anybody else, and to who waits no more, say nothing.

    Nor to a lead who signs in by the district: a mailbox alone opens nothing of theirs.

    Who asks over a limit is written down all the same: a link that was mailed shortly before serves
    them too. The audit trail hears of each who is refused.
    """
    if job.due_at < now() - MAX_WAIT:
        return
    asking = SignInRequest(**keyring.open_job(job))
    identity = address.normalise(asking.address)
    found = select(Account).where(Account.address_index == keyring.index.account(identity))
    account = session.scalar(found)
    if account is None or not (
        accounts.may_sign_in(session, account)
        or invitations.has_proven_right(session, keyring.opener, account)
    ):
        why = "no-right" if account else "no-account"
        signing_in.record_refusal(session, account, why, WorkerLimit)
        return
    if identity_tasks.is_linked(session, keyring, account):
        return
    secret = new_public_id()
    sign_in = _add_link(session, account, secret, bytes.fromhex(asking.browser_hash))
    if not rate_limits.try_uses(session, _uses(keyring.index, account, identity, asking), now()):
        signing_in.record_refusal(session, account, "too-often", WorkerLimit)
        return
    _post_link(session, keyring, SIGN_IN, account, sign_in, secret, asking.language)


def receive_proof(session: Session, keyring: Keyring, job: Job) -> None:
    """Mail a link by which an account's own session is proved again, and no other.

    The web could have written the request: the email goes to the account's own address, which is
    checked, and not to one that signs in by the district or has a passkey. Over a limit a link
    that was mailed shortly before serves.
    """
    if job.due_at < now() - MAX_WAIT:
        return
    said = keyring.open_job(job)
    found = (
        select(Account, BrowserSession)
        .join(BrowserSession)
        .where(
            Account.public_id == said["account"],
            BrowserSession.public_id == said["session"],
            BrowserSession.started_at > now() - MAX_SESSION_AGE,
        )
    )
    row = session.execute(found).first()
    if row is None or not accounts.may_sign_in(session, row[0]):
        return
    account, browser_session = row
    invitations.account_address(keyring.opener, keyring.index, account)
    if signing_in.has_passkey(session, account):
        return
    if identity_tasks.is_linked(session, keyring, account):
        return
    of_session = keyring.index.limited(f"proof/{browser_session.public_id}")
    of_account = keyring.index.limited(f"proofs/{account.public_id}")
    uses = [(of_session, PROOF_RATE), (of_account, PROOFS_RATE)]
    if rate_limits.try_uses(session, uses, now()):
        secret = new_public_id()
        link = _add_link(session, account, secret, browser_session.token_hash)
        _post_link(session, keyring, PROOF, account, link, secret, said["language"])


def _add_link(session: Session, account: Account, secret: str, browser_hash: bytes) -> SignIn:
    link = SignIn(public_id=name_of(secret), account_id=account.id, browser_hash=browser_hash)
    session.add(link)
    session.flush()
    return link


def _post_link(
    session: Session,
    keyring: Keyring,
    kind: str,
    account: Account,
    link: SignIn,
    secret: str,
    language: str,
) -> None:
    """Mail a link to an account's own address, which is checked; its secret stands there alone."""
    to = invitations.account_address(keyring.opener, keyring.index, account)
    rows = Rows(account_id=account.id, about_id=link.id)
    post_to_address(session, keyring, kind, to, language, None, rows, secret=secret)


def _uses(
    index: BlindIndex, account: Account, identity: str, asking: SignInRequest
) -> list[tuple[bytes, rate_limits.Rate]]:
    """List the allowances that a link uses: strangers' are none of a known browser's."""

    def allowance(whose: str) -> bytes:
        return index.limited(f"sign-in/{whose}/{identity}")

    if signing_in.is_known_browser(asking.known_as, account):
        known = allowance(f"known/{asking.known_as}")
        return [
            (known, SIGN_IN_KNOWN_BROWSER_RATE),
            (allowance("known"), SIGN_IN_KNOWN_BROWSERS_RATE),
        ]
    return [
        (allowance(f"browser/{asking.browser_hash}"), SIGN_IN_BROWSER_RATE),
        (allowance(f"source/{asking.source}"), SIGN_IN_SOURCE_RATE),
        (allowance("strangers"), SIGN_IN_STRANGERS_RATE),
    ]


def link_email(
    endpoint: str, purpose: Purpose, session: Session, mailer: Mailer, delivery: Delivery
) -> Email:
    """Write a link, in the language of the form; one that leaves late has its time from then on.

    After an hour nobody waits for it.
    """
    to, said = read_posted(mailer.opener, delivery)
    if now() > delivery.created_at + MAX_WAIT:
        raise SkipDelivery(State.EXPIRED)
    at, language = signed_from(delivery, purpose), said["language"]
    session.execute(update(SignIn).where(SignIn.id == delivery.about_id).values(created_at=at))
    link = mailer.links.signed(endpoint, purpose, said["secret"], at, language)
    return Email(to=to, language=language, context={"link_url": link})


def receive_change(session: Session, keyring: Keyring, job: Job) -> None:
    """Tell an account's owner that a passkey was added or removed; who has no right hears nothing.

    The web could have written the request: the email goes to the account's own address, which is
    checked, and says only that.
    """
    said = keyring.open_job(job)
    account = session.scalar(select(Account).where(Account.public_id == said["account"]))
    if account is None or said["what"] not in CHANGES or not accounts.may_sign_in(session, account):
        return
    key = b"passkey/" + account.public_id.encode()
    if not try_use(session, key, PASSKEY_CHANGED_RATE, now()):
        return
    post_to(session, keyring, PASSKEY_CHANGED, account, what=said["what"])


def change_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody that their passkeys have changed, and what to do if it was not them."""
    to, said = read_posted(mailer.opener, delivery)
    url = mailer.links.page("contact.write", said["language"])
    context = {"is_added": said["what"] == "added", "contact_url": url}
    return Email(to, said["language"], context)
