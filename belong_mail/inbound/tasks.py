"""Do the jobs of email that comes back, and forget what is over."""

from sqlalchemy import delete

from belong_mail.core.retention import (
    INBOUND_DIGEST_AGE,
    UNTRIED_MAILBOX_AGE,
    in_batches,
    older_than,
)
from belong_mail.delivery.work import RETENTION, JobWork, does
from belong_mail.inbound.jobs import ReadReturned
from belong_mail.inbound.models import InboundDigest, InboundMailbox

RETENTION["digests of what came back"] = in_batches(
    delete(InboundDigest), older_than(InboundDigest.seen_at, INBOUND_DIGEST_AGE)
)
RETENTION["mailboxes that nobody reads"] = in_batches(
    delete(InboundMailbox), older_than(InboundMailbox.tried_at, UNTRIED_MAILBOX_AGE)
)


@does(ReadReturned)
def load_parser(work: JobWork, _asked: ReadReturned) -> None:
    """Load the parser of reports with the first report: most workers never need it."""
    from belong_mail.inbound.returned import receive_returned  # noqa: PLC0415 - 2 MB, rarely used

    receive_returned(work)
