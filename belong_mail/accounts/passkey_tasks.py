"""What the worker does about passkeys: it emails the owner when theirs have changed.

It verifies none, and knows none: whoever breaks into the web could write one.
"""

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.accounts.service import PASSKEY_CHANGED
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import PASSKEY_CHANGED_RATE, WorkerLimit, try_use
from belong_mail.delivery.mailer import Email, Mailer, post_to_address, read_posted
from belong_mail.delivery.models import Delivery

CHANGES = ("added", "removed")


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
    if not try_use(session, key, PASSKEY_CHANGED_RATE, now(), table=WorkerLimit):
        return
    with suppress(DecryptionError):
        address = invitations.account_address(keyring.opener, keyring.index, account)
        post_to_address(
            session, keyring, PASSKEY_CHANGED, address, account.language, what=said["what"]
        )


def change_email(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell somebody that their passkeys have changed, and what to do if it was not them."""
    to, said = read_posted(mailer.opener, delivery)
    url = mailer.links.page("contact.write", said["language"])
    context = {"is_added": said["what"] == "added", "contact_url": url}
    return Email(to, said["language"], context)
