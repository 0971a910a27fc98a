"""The jobs of the contact form."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Email a stored message to whom it is for, and a receipt to its writer."""

    KIND: ClassVar[str] = "send-message"

    reference: str
