"""Between whoever has messages and the connections that send them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.line import Line
from belong_mail.mail.message import Envelope
from belong_mail.mail.outcomes import Reply
from belong_mail.mail.steps import Steps

Drive = Callable[[Line, Steps[None]], None]
"""Takes the steps of a conversation over a line, to its end, in whatever thread."""
WELCOME: Final = Reply(250, "", "DOT")
"""Of the words of an acceptance nothing is kept."""


@dataclass(slots=True)
class Parcel:
    """An envelope on its way, and the delivery it belongs to."""

    id: int
    envelope: Envelope
    stale_at: float = field(default=float("inf"), compare=False)
    """By the monotonic clock: from then on its reader may have changed their mind unheard."""

    @property
    def is_stale(self) -> bool:
        """Whether it waited for so long that it must not leave before it was asked for anew."""
        return time.monotonic() > self.stale_at


class Feed(Protocol):
    """Where connections get their parcels, and where they say what became of each, once."""

    ring: Callable[[], object]
    """Called, in whatever thread, when `take_news` has something to tell."""

    @property
    def is_open(self) -> bool:
        """Whether more may come."""

    @property
    def needs_hands(self) -> bool:
        """Whether something waits, and no thread waits for it."""

    def take_news(self) -> bool:
        """Tell, once, that it is time to write down what became of parcels."""

    def due_in(self) -> float | None:
        """Return in how many seconds something may leave; None: nothing waits."""

    def take(self, patience: float) -> Parcel | None:
        """Return what is to leave next, waiting so many seconds; None: nothing, or no more."""

    def begin(self, parcel: Parcel) -> None:
        """Hear that the connection for which this one waited is open."""

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

    def unreachable(self, error: Unreachable | None) -> None:
        """No connection could be opened; None: it failed of itself."""
