"""The protocol between a source of messages and the connections that send them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from belong_mail.mail.message.mime import Envelope
from belong_mail.mail.smtp.connection import RelayUnavailable, SmtpConnection, SmtpSteps
from belong_mail.mail.smtp.replies import Reply

# Takes the steps of a conversation over a line, to its end, in whatever thread.
RunSession = Callable[[SmtpConnection, SmtpSteps[None]], None]
# The words of an acceptance are not kept.
WELCOME: Final = Reply(250, "", "DOT")


@dataclass(slots=True)
class OutgoingMessage:
    """An envelope on its way, and the delivery it belongs to."""

    id: int
    envelope: Envelope
    # By the monotonic clock: from then on its reader may have changed their mind unheard.
    stale_at: float = field(default=float("inf"), compare=False)

    @property
    def is_stale(self) -> bool:
        """Whether it waited for so long that it must not leave before it was asked for anew."""
        return time.monotonic() > self.stale_at


class MessageSource(Protocol):
    """Where connections get their messages, and where they say what became of each, once."""

    # Called, in whatever thread, when `pop_wakeup` has something to tell.
    on_wakeup: Callable[[], object]

    @property
    def is_open(self) -> bool:
        """Whether more may come."""

    @property
    def has_backlog(self) -> bool:
        """Whether something waits, and no thread waits for it."""

    def pop_wakeup(self) -> bool:
        """Tell, once, that it is time to write down what became of messages."""

    def due_in(self) -> float | None:
        """Return in how many seconds something may leave; None: nothing waits."""

    def next_message(self, patience: float) -> OutgoingMessage | None:
        """Return what is to leave next, waiting so many seconds; None: nothing, or no more."""

    def record_start(self, outgoing: OutgoingMessage) -> None:
        """Record that the connection for which this message waited is open."""

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        """Write down that the final dot leaves now, or raise RelayUnavailable: it must not."""

    def record_reply(self, outgoing: OutgoingMessage, reply: Reply) -> bool:
        """Take the reply that decides; tell whether the connection may go on."""

    def mark_uncertain(self, outgoing: OutgoingMessage) -> None:
        """Write down that the dot was sent and no answer came."""

    def record_break(self, outgoing: OutgoingMessage, error: RelayUnavailable) -> None:
        """Take it back from a broken conversation: it was not accepted, and may be the reason."""

    def requeue(self, outgoing: OutgoingMessage) -> None:
        """Take it back: it was certainly not accepted, through no fault of its own."""

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        """Let it fail: no conversation could carry it."""

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        """No connection could be opened; None: it failed of itself."""
