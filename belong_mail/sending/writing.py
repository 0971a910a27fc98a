"""How the engine gets its messages written, and why one may not be sent."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Select
from sqlalchemy.orm import Session

from belong_mail.mail.message import Envelope
from belong_mail.sending import outcomes
from belong_mail.sending.models import State
from belong_mail.sending.outcomes import Outcome

HALTED = Outcome(None, again=timedelta(seconds=2))

log = logging.getLogger(__name__)


class NotSent(Exception):
    """The message is not to be sent; the state says why: withdrawn, suppressed, failed."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Halted(Exception):
    """The issue is paused or stopped: the delivery waits until somebody decides."""


Writing = Callable[[], Envelope]
"""Writes a message without the database, or raises NotSent or Halted."""


class Sheet(NamedTuple):
    """A message that waits to be written, just before it leaves."""

    id: int
    write: Writing
    not_before: float = 0.0
    """By the monotonic clock: the relay's pace."""
    made_at: float = 0.0
    """When it was asked whether its reader wants it."""


Compose = Callable[[Session, list[int]], Iterable[tuple[int, Writing]]]
"""Reads what it takes to write deliveries."""


class Members(Protocol):
    """Who is still to get an issue."""

    chosen: Select[Any]
    """Selects a chunk's members in their order: an id, and what it takes to write to each.

    It has bound parameters: the newsletter's id, a chunk's low and high, and those of `prepare`.
    """

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, object]:
        """Make an issue ready to be sent and return its parameters."""

    def writings(self, session: Session, rows: Iterable[Any]) -> Iterable[tuple[int, Writing]]:
        """Return what writes to those who were chosen, each by the id of a delivery."""


def write(sheet: Sheet) -> Envelope | Outcome:
    """Write a message; of one that cannot be written return what becomes of it."""
    try:
        return sheet.write()
    except Halted:
        return HALTED
    except NotSent as reason:
        return Outcome(reason.state)
    except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
        log.error("Delivery %d cannot be written: %s", sheet.id, type(error).__name__)  # noqa: TRY400
        return outcomes.UNWRITABLE
