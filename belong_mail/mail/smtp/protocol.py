"""The protocol between a source of messages and the connections that send them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from belong_mail.mail.message.mime import Envelope
from belong_mail.mail.smtp.connection import RelayUnavailable, SmtpConnection, SmtpSteps
from belong_mail.mail.smtp.replies import Reply

# Runs the steps of a conversation over a connection to its end, in any thread.
RunSession = Callable[[SmtpConnection, SmtpSteps[None]], None]
# The words of an acceptance are not kept.
WELCOME: Final = Reply(250, "", "DOT")


@dataclass(slots=True)
class OutgoingMessage:
    """An envelope on its way, and the delivery it belongs to."""

    id: int
    envelope: Envelope
    # Monotonic time after which its reader may have changed their mind unnoticed.
    stale_at: float = field(default=float("inf"), compare=False)

    @property
    def is_stale(self) -> bool:
        """Whether it waited so long that it has to be checked again before it leaves."""
        return time.monotonic() > self.stale_at


class MessageSource(Protocol):
    """Where connections get their messages, and report the result of each, once."""

    # Called, in any thread, when `pop_wakeup` has something to report.
    on_wakeup: Callable[[], object]

    @property
    def is_open(self) -> bool:
        """Whether more may come."""

    @property
    def has_backlog(self) -> bool:
        """Whether a message waits, and no thread waits for it."""

    def pop_wakeup(self) -> bool:
        """Return, once, that it is time to store results."""

    def due_in(self) -> float | None:
        """Return in how many seconds a message may leave, or None if none waits."""

    def next_message(self, patience: float) -> OutgoingMessage | None:
        """Return the next message, waiting so many seconds; None if there is none."""

    def record_start(self, outgoing: OutgoingMessage) -> None:
        """Record that the connection for which this message waited is open."""

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        """Record that the final dot leaves now. Raises RelayUnavailable if it must not."""

    def record_reply(self, outgoing: OutgoingMessage, reply: Reply) -> bool:
        """Record the reply that decides; return whether the connection may go on."""

    def mark_uncertain(self, outgoing: OutgoingMessage) -> None:
        """Record that the dot was sent and no answer came."""

    def record_break(self, outgoing: OutgoingMessage, error: RelayUnavailable) -> None:
        """Take it back from a broken conversation: it was not accepted, and may be the reason."""

    def requeue(self, outgoing: OutgoingMessage) -> None:
        """Take it back: it was certainly not accepted, and was not at fault."""

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        """Fail it: no conversation could carry it."""

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        """Record that no connection could be opened; None: the relay is not the reason."""
