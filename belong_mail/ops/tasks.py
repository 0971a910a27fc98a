"""Try waiting email now, when the office asks for it."""

from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import RETRY_RATE, WorkerLimit
from belong_mail.ops import hold

RETRIED = b"office/retried"


def retry_email(session: Session, _keyring: Keyring, _job: Job) -> None:
    """Let what waits for its next try be tried, unless that was just done.

    Whoever broke into the web can ask for it too, and so as seldom: a relay that is down is not
    knocked at without end.
    """
    at = now()
    if rate_limits.remaining(session, RETRIED, RETRY_RATE, at, WorkerLimit):
        rate_limits.record_use(session, RETRIED, RETRY_RATE, at, table=WorkerLimit)
        hold.ask_retry(session)
