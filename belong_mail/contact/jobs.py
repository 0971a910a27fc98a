"""Jobs about messages to the office and to leaders."""

from dataclasses import dataclass

from belong_mail.core.audit import Kind
from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class SendMessage(SealedJob, kind="send-message"):
    """Email a stored message, and a receipt to its writer."""

    reference: str


@dataclass(frozen=True)
class ResendMessages(JobKind, kind="resend-messages", recorded=Kind.MESSAGES_RESENT):
    """Queue undelivered messages again, as the web may not change deliveries."""
