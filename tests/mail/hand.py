"""Hands envelopes to a transport, and waits for what becomes of each."""

import itertools
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from belong_mail.mail.address import AddressRefused
from belong_mail.mail.connection import Relay, Unreachable
from belong_mail.mail.dialogue import checked
from belong_mail.mail.feed import Parcel
from belong_mail.mail.message import Envelope, MessageRefused
from belong_mail.mail.outcomes import Reply
from belong_mail.mail.relay import SmtpTransport
from belong_mail.sending.crew import MAX_IDLE, Crew
from belong_mail.sending.pace import Flow

SECONDS = 60.0
Outcome = Reply | BaseException


class AnswerLost(Exception):
    """The final dot was written and no whole answer came: the message may have been accepted."""


class Hand:
    """A feed for one connection; what is handed back unsaid is given out again."""

    ring: Callable[[], object]
    needs_hands = False

    def __init__(self, relay: Relay, *, idle: float = MAX_IDLE) -> None:
        self._transport = SmtpTransport(relay)
        self._crew = Crew(self._transport, self, Flow(1), idle=idle)
        self._driver: threading.Thread | None = None
        self.between: Callable[[], object] = bool
        """Called between two looks of whoever drives, who may be busy with something else."""
        self.is_open = True
        self._parcels: queue.Queue[Parcel | None] = queue.Queue()
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
            parcel = Parcel(next(self._numbers), envelope)
            self._notes[parcel.id] = note
            self._parcels.put(parcel)
        return [self._outcome() for _ in envelopes]

    def _outcome(self) -> Outcome:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self._begin()
            with suppress(queue.Empty):
                return self._outcomes.get(timeout=0.1)
        raise TimeoutError

    def close(self) -> None:
        """Say that nothing more comes, and wait for the goodbye."""
        if self._thread is not None and self._thread.is_alive():
            self.is_open = False
            self._parcels.put(None)
            self._crew.wake()
            self._wait_for(self._thread)
            self._wait_for(self._driver)

    def _begin(self) -> None:
        """Begin to converse and to drive, unless that is under way."""
        self._crew.wake()
        if self._thread is None or not self._thread.is_alive():
            self._wait_for(self._driver)
            self.is_open = True
            self._thread = threading.Thread(target=self._converse, daemon=True)
            self._thread.start()
            self._driver = threading.Thread(target=self._drive, args=[self._thread], daemon=True)
            self._driver.start()

    def _wait_for(self, thread: threading.Thread | None) -> None:
        if thread is not None:
            thread.join(SECONDS)

    def _drive(self, thread: threading.Thread) -> None:
        while thread.is_alive():
            self._crew.tend(1.0)
            self.between()

    def take(self, patience: float) -> Parcel | None:
        if not patience:
            try:
                return self._parcels.get_nowait()
            except queue.Empty:
                return None
        return self._parcels.get() if self.is_open else None

    def take_news(self) -> bool:
        return False

    def due_in(self) -> float | None:
        return None if self._parcels.empty() else 0.0

    def unreachable(self, error: Unreachable | None) -> None:
        raise NotImplementedError from error

    def begin(self, parcel: Parcel) -> None:
        """Keep no journal."""

    def mark(self, parcel: Parcel) -> None:
        self._notes[parcel.id]()

    def answered(self, _parcel: Parcel, reply: Reply) -> bool:
        self._outcomes.put(reply)
        return True

    def doubtful(self, _parcel: Parcel) -> None:
        self._outcomes.put(AnswerLost())

    def broke(self, _parcel: Parcel, error: Unreachable) -> None:
        self._outcomes.put(error)

    def unsaid(self, parcel: Parcel) -> None:
        self._parcels.put(parcel)

    def unwritable(self, parcel: Parcel) -> None:
        try:
            checked(parcel.envelope)
        except (AddressRefused, MessageRefused) as error:
            self._outcomes.put(error)

    def _converse(self) -> None:
        try:
            self._transport.converse(self, self._crew.drive)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._parcels.queue.clear()
            self._outcomes.put(error)
        finally:
            self._crew.wake()
