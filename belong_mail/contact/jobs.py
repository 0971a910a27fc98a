"""What the web asks the worker for, of messages to the office and to leaders."""

from dataclasses import dataclass

from belong_mail.core.jobs import JobKind, SealedJob


@dataclass(frozen=True)
class SendMessage(SealedJob, kind="send-message"):
    """Asks for the email of a stored message, and for its writer's receipt."""

    reference: str


@dataclass(frozen=True)
class ResendMessages(JobKind, kind="resend-messages"):
    """Asks that what was not delivered be sent again."""
