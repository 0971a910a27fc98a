"""Hands copies to a transport, and waits for what becomes of each."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable

from belong_mail.delivery.connections import ConnectionPool
from belong_mail.delivery.throttle import ConcurrencyLimit
from belong_mail.mail.address import InvalidAddress
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.mime import Copy
from belong_mail.mail.smtp.connection import Relay, RelayUnavailable
from belong_mail.mail.smtp.protocol import OutgoingMessage
from belong_mail.mail.smtp.replies import Reply
from belong_mail.mail.smtp.session import require_valid
from belong_mail.mail.smtp.transport import SmtpTransport

SECONDS = 60.0
Outcome = Reply | BaseException


class AnswerLost(Exception):
    """The final dot was written and no whole answer came: the message may have been accepted."""


class Hand:
    """A feed for one connection; what is handed back unsaid is given out again."""

    on_wakeup: Callable[[], object]

    def __init__(self, relay: Relay) -> None:
        self.pool = ConnectionPool(SmtpTransport(relay), self, ConcurrencyLimit(1))
        self.between: Callable[[], object] = bool
        """Called between two looks of whoever drives, who may be busy with something else."""
        self.is_open = True
        self._waiting: deque[OutgoingMessage] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._notes: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()

    def send(self, copy: Copy, note: Callable[[], None]) -> Reply:
        """Return the reply that decided, or raise what happened."""
        [outcome] = self.send_all([copy], note)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def send_all(self, copies: list[Copy], note: Callable[[], None]) -> list[Outcome]:
        """Return the outcomes of copies that wait together, in the order in which they came."""
        self.is_open, until = True, time.monotonic() + SECONDS
        for copy in copies:
            outgoing = OutgoingMessage(next(self._numbers), copy)
            self._notes[outgoing.id] = note
            self._waiting.append(outgoing)
        while len(self._outcomes) < len(copies):
            assert time.monotonic() < until
            self.pool.ensure_connections()
            self.pool.poll(1.0)
            self.between()
        return [self._outcomes.popleft() for _ in copies]

    def pass_time(self, seconds: float) -> None:
        """Bring all that open conversations wait for nearer, as if so much time had passed."""
        for talk in tuple(self.pool._talks.values()):
            talk.line.deadline -= seconds
            talk.line._last -= seconds

    def close(self) -> None:
        """Say that nothing more comes, and wait for the goodbye, which raises nothing."""
        self.is_open = False
        self.pool.join(threading.Event())
        assert not self._outcomes, self._outcomes

    def next_message(self, *, is_opening: bool = False) -> OutgoingMessage | None:
        del is_opening
        return self._waiting.popleft() if self._waiting else None

    def pop_wakeup(self) -> bool:
        return False

    def due_in(self) -> float | None:
        return 0.0 if self._waiting else None

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        assert error is not None
        self._waiting.clear()
        self._outcomes.append(error)

    def record_start(self, outgoing: OutgoingMessage) -> None:
        """Keep no journal."""

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        self._notes[outgoing.id]()

    def record_reply(self, _parcel: OutgoingMessage, reply: Reply) -> bool:
        self._outcomes.append(reply)
        return True

    def mark_uncertain(self, _parcel: OutgoingMessage) -> None:
        self._outcomes.append(AnswerLost())

    def record_break(self, _parcel: OutgoingMessage, error: RelayUnavailable) -> None:
        self._outcomes.append(error)

    def requeue(self, outgoing: OutgoingMessage) -> None:
        self._waiting.append(outgoing)

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        try:
            require_valid(outgoing.copy)
        except (InvalidAddress, InvalidMessage) as error:
            self._outcomes.append(error)
