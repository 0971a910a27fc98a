"""Jobs about email that comes back."""

from belong_mail.core.audit import Kind
from belong_mail.core.jobs import JobKind
from belong_mail.inbound.pipe import RETURNED


class ReadReturned(JobKind, kind=RETURNED):
    """Read a returned message. Sealed: a line with the return path, then the message."""


class AcceptBounces(JobKind, kind="accept-bounces", recorded=Kind.BOUNCES_ACCEPTED):
    """Apply the bounces that the circuit breaker held back."""
