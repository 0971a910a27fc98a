"""Try waiting email now, when the office asks for it."""

from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import RETRY_RATE, WorkerLimit, try_use
from belong_mail.ops import hold

RETRIED = b"office/retried"


def retry_email(session: Session, _keyring: Keyring, _job: Job) -> None:
    """Let what waits for its next try be tried, unless that was just done.

    Whoever broke into the web can ask for it too, and so as seldom: a relay that is down is not
    knocked at without end.
    """
    if try_use(session, RETRIED, RETRY_RATE, now(), table=WorkerLimit):
        hold.ask_retry(session)
