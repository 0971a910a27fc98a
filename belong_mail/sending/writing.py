"""How the engine gets its messages written, and why one may not be sent."""

from collections.abc import Callable, Iterable

from sqlalchemy.orm import Session

from belong_mail.mail.message import Envelope
from belong_mail.sending.models import State


class NotSent(Exception):
    """The message is not to be sent; the state says why: withdrawn, suppressed, failed."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Halted(Exception):
    """The issue is paused or stopped: the delivery waits until somebody decides."""


Writing = Callable[[], Envelope]
"""Writes a message without the database, or raises NotSent or Halted."""
Compose = Callable[[Session, list[int]], Iterable[tuple[int, Writing]]]
"""Reads what it takes to write deliveries."""
