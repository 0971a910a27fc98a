"""The interface between a queue of messages and the connections that send them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from belong_mail.mail.message.mime import Copy
from belong_mail.mail.smtp.connection import RelayUnavailable, SmtpConnection, SmtpSteps
from belong_mail.mail.smtp.replies import Reply

# Runs a conversation over a connection to its end.
RunSession = Callable[[SmtpConnection, SmtpSteps[None]], None]
# The reply recorded for every acceptance; the relay's own text is not kept.
WELCOME: Final = Reply(250, "", "DOT")


@dataclass(slots=True)
class OutgoingMessage:
    """A copy to send, with the id of its delivery."""

    id: Final[int]
    copy: Final[Copy]
    # Monotonic time after which the reader's membership must be checked again.
    stale_at: float = field(default=float("inf"), compare=False)

    @property
    def is_stale(self) -> bool:
        """Whether it waited so long that the reader's membership must be checked again."""
        return time.monotonic() > self.stale_at


class MessageSource(Protocol):
    """The queue that gives connections their messages and takes the result of each, once."""

    # Called from any thread when `pop_wakeup` would return True.
    on_wakeup: Callable[[], object]

    @property
    def is_open(self) -> bool:
        """Whether there may be more messages."""

    def pop_wakeup(self) -> bool:
        """Return whether it is time to store results, and reset that."""

    def due_in(self) -> float | None:
        """Return the seconds until a message may be sent, or None if none waits."""

    def next_message(self, *, is_opening: bool = False) -> OutgoingMessage | None:
        """Return the next message, or None; with `is_opening` its connection is not open yet."""

    def record_start(self, outgoing: OutgoingMessage) -> None:
        """Record that a connection for this message is open."""

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        """Record that the final dot is about to be sent, or raise RelayUnavailable."""

    def record_reply(self, outgoing: OutgoingMessage, reply: Reply) -> bool:
        """Record the deciding reply; return whether the connection may be used further."""

    def mark_uncertain(self, outgoing: OutgoingMessage) -> None:
        """Record that no answer came to the final dot."""

    def record_break(self, outgoing: OutgoingMessage, error: RelayUnavailable) -> None:
        """Record that the connection broke before the dot, perhaps because of this message."""

    def requeue(self, outgoing: OutgoingMessage) -> None:
        """Take back a message that failed through no fault of its own."""

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        """Fail a message that SMTP cannot carry."""

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        """Record that a connection could not be opened; None: because of an error of ours."""
