"""Between whoever has messages and the connections that send them."""

from dataclasses import dataclass
from typing import Final, Protocol

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.message import Envelope
from belong_mail.mail.outcomes import Reply

WELCOME: Final = Reply(250, "", "DOT")
"""Of the words of an acceptance nothing is kept."""


@dataclass(slots=True)
class Parcel:
    """An envelope on its way, and the delivery it belongs to."""

    id: int
    envelope: Envelope
    not_before: float = 0.0
    """By the monotonic clock: the relay's pace."""
    made_at: float = 0.0


class Feed(Protocol):
    """Where connections get their parcels, and where they say what became of each, once."""

    def take(self, patience: float) -> Parcel | None:
        """Return what is to leave next, waiting so many seconds; None: nothing, or no more."""

    def mark(self, parcel: Parcel) -> None:
        """Write down that the final dot leaves now, or raise Unreachable: it must not."""

    def answered(self, parcel: Parcel, reply: Reply) -> bool:
        """Take the reply that decides; tell whether the connection may go on."""

    def doubtful(self, parcel: Parcel) -> None:
        """The dot was written and no answer came."""

    def broke(self, parcel: Parcel, error: Unreachable) -> None:
        """The conversation broke: this one was certainly not accepted, and may be the reason."""

    def unsaid(self, parcel: Parcel) -> None:
        """Take back what was certainly not accepted, through no fault of its own."""

    def unwritable(self, parcel: Parcel) -> None:
        """No conversation could carry this one."""
