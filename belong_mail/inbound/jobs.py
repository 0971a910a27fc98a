"""The worker's jobs about email that comes back."""

from belong_mail.core.jobs import JobKind
from belong_mail.inbound.pipe import RETURNED


class ReadReturned(JobKind, kind=RETURNED):
    """Comes with a message that came back, sealed, and its return path in a line before it."""


class AcceptBounces(JobKind, kind="accept-bounces"):
    """Believes what the breaker held back."""
