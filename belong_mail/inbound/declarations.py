"""The worker's entries for email that comes back."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.retention import (
    INBOUND_DIGEST_AGE,
    UNTRIED_MAILBOX_AGE,
    in_batches,
    older_than,
)
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.room import Room
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.inbound.pipe import RETURNED


def _receive_returned(mailer: Mailer, session: Session, keyring: Keyring, job: Job) -> None:
    """Load the parser of reports with the first report: most workers never need it."""
    from belong_mail.inbound.tasks import receive_returned  # noqa: PLC0415 - 2 MB, rarely used

    receive_returned(mailer, session, keyring, job)


INBOUND = Room(
    mailer_tasks={RETURNED: _receive_returned},
    retention={
        "digests of what came back": in_batches(
            delete(InboundDigest), older_than(InboundDigest.seen_at, INBOUND_DIGEST_AGE)
        ),
        "mailboxes that nobody reads": in_batches(
            delete(InboundMailbox), older_than(InboundMailbox.tried_at, UNTRIED_MAILBOX_AGE)
        ),
    },
)
