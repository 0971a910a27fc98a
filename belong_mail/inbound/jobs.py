"""The worker's jobs about email that comes back."""

from belong_mail.core.jobs import JobKind
from belong_mail.inbound.pipe import RETURNED


class ReadReturned(JobKind, kind=RETURNED):
    """Job: read a returned message. Sealed: its return path on a line, then the message."""


class AcceptBounces(JobKind, kind="accept-bounces"):
    """Job: believe the reports that the circuit breaker held back."""
