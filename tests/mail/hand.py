"""Hands envelopes to a transport, and waits for what becomes of each."""

import itertools
import queue
import threading
from collections.abc import Callable

from belong_mail.mail.address import AddressRefused
from belong_mail.mail.connection import Relay, Unreachable
from belong_mail.mail.dialogue import AnswerLost, checked
from belong_mail.mail.feed import Parcel
from belong_mail.mail.message import Envelope, MessageRefused
from belong_mail.mail.outcomes import Reply
from belong_mail.mail.relay import SmtpTransport

SECONDS = 60.0
Outcome = Reply | BaseException


class Hand:
    """A feed for one connection; what is handed back unsaid is given out again."""

    def __init__(self, relay: Relay) -> None:
        self._transport = SmtpTransport(relay)
        self._parcels: queue.Queue[Parcel | None] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._notes: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self.patience: list[float] = []

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
        outcomes = []
        for _ in envelopes:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._converse, daemon=True)
                self._thread.start()
            outcomes.append(self._outcomes.get(timeout=SECONDS))
        return outcomes

    def close(self) -> None:
        """Say that nothing more comes, and wait for the goodbye."""
        if self._thread is not None and self._thread.is_alive():
            self._parcels.put(None)
            self._thread.join(SECONDS)

    def take(self, patience: float) -> Parcel | None:
        if not patience:
            try:
                return self._parcels.get_nowait()
            except queue.Empty:
                return None
        self.patience.append(patience)
        return self._parcels.get()

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
            self._transport.converse(self)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._parcels.queue.clear()
            self._outcomes.put(error)
