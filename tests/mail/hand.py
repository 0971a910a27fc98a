"""Hands envelopes to a transport, and waits for what becomes of each."""

import itertools
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from belong_mail.delivery.connections import MAX_IDLE_SECONDS, ConnectionPool
from belong_mail.delivery.throttle import ConcurrencyLimit
from belong_mail.mail.address import InvalidAddress
from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.mime import Envelope
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

    def __init__(self, relay: Relay, *, idle: float = MAX_IDLE_SECONDS) -> None:
        self._transport = SmtpTransport(relay)
        self._pool = ConnectionPool(self._transport, self, ConcurrencyLimit(1), idle=idle)
        self._driver: threading.Thread | None = None
        self.between: Callable[[], object] = bool
        """Called between two looks of whoever drives, who may be busy with something else."""
        self.is_open = True
        self._dispatcher: queue.Queue[OutgoingMessage | None] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._notes: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def send(self, envelope: Envelope, note: Callable[[], None]) -> Reply:
        """Return the reply that decided, or raise what happened."""
        [outcome] = self.send_all([envelope], note)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def send_all(self, envelopes: list[Envelope], note: Callable[[], None]) -> list[Outcome]:
        """Return the outcomes of envelopes that wait together, in the order in which they came."""
        for envelope in envelopes:
            outgoing = OutgoingMessage(next(self._numbers), envelope)
            self._notes[outgoing.id] = note
            self._dispatcher.put(outgoing)
        return [self._outcome() for _ in envelopes]

    def _outcome(self) -> Outcome:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self._begin()
            with suppress(queue.Empty):
                return self._outcomes.get(timeout=0.1)
        raise TimeoutError

    def close(self) -> None:
        """Say that nothing more comes, and wait for the goodbye, which raises nothing."""
        if self._thread is not None and self._thread.is_alive():
            self.is_open = False
            self._dispatcher.put(None)
            self._pool.wake()
            self._wait_for(self._thread)
            self._wait_for(self._driver)
            assert self._outcomes.empty(), self._outcomes.get()

    def _begin(self) -> None:
        """Begin to converse and to drive, unless that is under way."""
        self._pool.wake()
        if self._thread is None or not self._thread.is_alive():
            self._wait_for(self._driver)
            self.is_open = True
            is_over = threading.Event()
            self._thread = threading.Thread(target=self._converse, args=[is_over], daemon=True)
            self._thread.start()
            self._driver = threading.Thread(target=self._drive, args=[is_over], daemon=True)
            self._driver.start()

    def _wait_for(self, thread: threading.Thread | None) -> None:
        if thread is not None:
            thread.join(SECONDS)

    def _drive(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            self._pool.poll(1.0)
            self.between()

    def next_message(self, *, is_opening: bool = False) -> OutgoingMessage | None:
        if not is_opening:
            try:
                return self._dispatcher.get_nowait()
            except queue.Empty:
                return None
        return self._dispatcher.get() if self.is_open else None

    def pop_wakeup(self) -> bool:
        return False

    def due_in(self) -> float | None:
        return None if self._dispatcher.empty() else 0.0

    def record_unreachable(self, error: RelayUnavailable | None) -> None:
        raise NotImplementedError from error

    def record_start(self, outgoing: OutgoingMessage) -> None:
        """Keep no journal."""

    def record_dot(self, outgoing: OutgoingMessage) -> None:
        self._notes[outgoing.id]()

    def record_reply(self, _parcel: OutgoingMessage, reply: Reply) -> bool:
        self._outcomes.put(reply)
        return True

    def mark_uncertain(self, _parcel: OutgoingMessage) -> None:
        self._outcomes.put(AnswerLost())

    def record_break(self, _parcel: OutgoingMessage, error: RelayUnavailable) -> None:
        self._outcomes.put(error)

    def requeue(self, outgoing: OutgoingMessage) -> None:
        self._dispatcher.put(outgoing)

    def fail_unrenderable(self, outgoing: OutgoingMessage) -> None:
        try:
            require_valid(outgoing.envelope)
        except (InvalidAddress, InvalidMessage) as error:
            self._outcomes.put(error)

    def _converse(self, is_over: threading.Event) -> None:
        try:
            self._transport.converse(self, self._pool.run_conversation)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._dispatcher.queue.clear()
            self._outcomes.put(error)
        finally:
            is_over.set()
            self._pool.wake()
