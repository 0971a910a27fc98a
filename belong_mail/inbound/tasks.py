"""The worker's functions for returned messages, and the deletion of their traces."""

from sqlalchemy import delete

from belong_mail.core.db import ago
from belong_mail.core.retention import (
    INBOUND_DIGEST_AGE,
    UNTRIED_MAILBOX_AGE,
    in_batches,
)
from belong_mail.delivery.work import RETENTION, JobWork, does
from belong_mail.inbound.jobs import ReadReturned
from belong_mail.inbound.models import InboundDigest, InboundMailbox

RETENTION["digests of what came back"] = in_batches(
    delete(InboundDigest), InboundDigest.seen_at < ago(INBOUND_DIGEST_AGE)
)
RETENTION["mailboxes that nobody reads"] = in_batches(
    delete(InboundMailbox), InboundMailbox.tried_at < ago(UNTRIED_MAILBOX_AGE)
)


@does(ReadReturned)
def load_parser(work: JobWork, _asked: ReadReturned) -> None:
    """Import the parser of reports when the first arrives: 2 MB that most workers never need."""
    from belong_mail.inbound.returned import receive_returned  # noqa: PLC0415 - 2 MB, rarely used

    receive_returned(work)
