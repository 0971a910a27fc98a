"""The threads that converse with the relay, one for each connection."""

import logging
import threading

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.relay import Transport
from belong_mail.sending.pace import Flow
from belong_mail.sending.parcels import Parcels

log = logging.getLogger(__name__)


class Crew:
    def __init__(self, transport: Transport, parcels: Parcels, flow: Flow) -> None:
        self._transport = transport
        self._parcels = parcels
        self._flow = flow
        self._threads: list[threading.Thread] = []

    def man(self) -> None:
        """Start a connection for what waits, if all others are at work and one more may be."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if self._parcels.needs_hands and len(self._threads) < self._flow.allowed:
            thread = threading.Thread(target=self._converse, daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self) -> None:
        """Wait until every conversation is over."""
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _converse(self) -> None:
        try:
            self._transport.converse(self._parcels)
        except Unreachable as error:
            self._parcels.unreachable(error)
        except Exception as error:  # noqa: BLE001 - the other connections go on
            log.error("A connection failed: %s", type(error).__name__)  # noqa: TRY400
            self._parcels.unreachable(None)
