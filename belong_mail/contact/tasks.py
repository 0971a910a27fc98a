"""Send messages again that were not delivered, when the office asks for it."""

from sqlalchemy.orm import Session

from belong_mail.contact import service
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import RESEND_RATE, WorkerLimit, try_use

RESENT = b"contact/resent"


def resend_messages(session: Session, _keyring: Keyring, _job: Job) -> None:
    """Put what has not arrived back into the queue, where that was not just done.

    Whoever broke into the web can ask for it too: one may arrive twice, at the inbox it is for.
    """
    if try_use(session, RESENT, RESEND_RATE, now(), table=WorkerLimit):
        service.resend(session)
