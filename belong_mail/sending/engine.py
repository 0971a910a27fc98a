"""The engine: claims what is due, lets the connections send it, and writes down what became of it.

One thread speaks with the database, in one transaction for many messages, and in between with the
relay, over all connections. A delivery is claimed before its MAIL is said, and its dot is in the
journal before it leaves: after a crash it is known what may have arrived.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from belong_mail.db import now
from belong_mail.mail.relay import Transport
from belong_mail.sending import claims, outcomes, pace, settling
from belong_mail.sending.crew import Crew
from belong_mail.sending.parcels import Parcels
from belong_mail.sending.presence import Presence
from belong_mail.sending.writing import Compose, Members, Sheet, Writing

SLICE = 0.5
"""Seconds of work between looks at what else there is to do."""
PATIENCE = 0.05
"""Seconds after which results are written down, however few."""
LOOK_EVERY = 0.2
"""Seconds after which single messages and second tries overtake the chunks of an issue."""
RECOVER_EVERY = 1.0
RENEW_EVERY = 15.0

Undelivered = Callable[[Session, int], None]
"""Hears, in the transaction that writes it down, of a delivery that will never arrive."""

log = logging.getLogger(__name__)


class Engine:
    def __init__(
        self,
        sessions: sessionmaker[Session],
        transport: Transport,
        compose: Compose,
        members: Members,
        presence: Presence,
        policy: pace.Policy,
        undelivered: Undelivered,
    ) -> None:
        self._sessions = sessions
        self._compose = compose
        self._members = members
        self._presence = presence
        self._policy = policy
        self._undelivered = undelivered
        self._flow = pace.Flow(transport.connections)
        self._parcels = Parcels(presence.journal, self._flow)
        self._crew = Crew(transport, self._parcels, self._flow)
        self._failures = 0
        self._has_failed = False
        """The last transaction may have been made or not: we may hold what we do not know of."""
        self._wake_at: datetime | None = None
        self._paced_until: datetime | None = None
        self._recovered_at = self._renewed_at = self._looked_at = float("-inf")
        self.stopping = threading.Event()

    def recover(self) -> None:
        """Take over what dead workers left."""
        with self._sessions.begin() as session:
            dead = settling.recover(session, self._presence, self._policy.uncertain)
        for name in dead:
            self._presence.bury(name)
        self._recovered_at = time.monotonic()

    def work(self) -> bool:
        """Send for a while; tell whether there is more to do now."""
        if time.monotonic() - self._recovered_at > RECOVER_EVERY:
            self.recover()
        until = time.monotonic() + SLICE
        while True:
            has_moved = self._turn()
            if not (has_moved or self._parcels.held or self._paced_until):
                self._crew.tend(0)
                return False
            if self.stopping.is_set() or time.monotonic() >= until:
                return True
            self._crew.man()
            self._crew.attend(PATIENCE)

    def rest(self, seconds: float) -> None:
        """Let what is under way go on for so long, or until we are told to stop."""
        until = time.monotonic() + seconds
        while not self.stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._crew.tend(left)

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopping.set()
        self._crew.wake()

    def finish(self) -> None:
        """Let the connections finish what is under way, and give everything else back."""
        self._parcels.close()
        self._crew.join(self.stopping)
        if self._parcels.held:
            self._turn(is_last=True)

    def close(self) -> None:
        """Finish and go; after an error, what is in hand is left for others to recover."""
        self.finish()
        with self._sessions.begin() as session:
            settling.resign(session, self._presence.name)
        self._presence.end()

    def _turn(self, *, is_last: bool = False) -> bool:
        """Write down results and claim what comes next; tell whether there was any of it."""
        self._consider_rest()
        results = self._parcels.results()
        most = 0 if is_last else self._room(len(results))
        is_renewal = time.monotonic() - self._renewed_at > RENEW_EVERY
        if not (results or most or is_last or (is_renewal and self._parcels.held)):
            return False
        owner, claimed = self._presence.name, None
        self._has_failed, had_failed = True, self._has_failed
        with self._sessions.begin() as session:
            if is_renewal:
                settling.renew(session, owner)
            rest = self._policy.uncertain, self._wake_at
            for delivery_id in settling.settle(session, owner, results, *rest):
                self._undelivered(session, delivery_id)
            if had_failed or is_last:
                kept = set() if is_last else self._parcels.held
                settling.give_back_all_but(session, owner, kept)
            if most:
                is_free = len(results) == len(self._parcels.held)
                claimed = self._claim(session, most, is_free=is_free)
            pause = pace.turns(session, self._policy, owner, self._parcels.held, claimed or ())
        self._has_failed = False
        if is_renewal:
            self._renewed_at = time.monotonic()
        if outcomes.ACCEPTED in (outcome for _, outcome in results):
            self._failures = 0
        self._parcels.written()
        if claimed:
            self._send(claimed, pause)
        return bool(results) or claimed is not None

    def _room(self, written: int) -> int:
        """Return how many more deliveries may be in hand once results are written."""
        if self.stopping.is_set():
            return 0
        at = now()
        if any(wake is not None and at < wake for wake in (self._wake_at, self._paced_until)):
            return 0
        self._wake_at = self._paced_until = None
        room = pace.WINDOW - (len(self._parcels.held) - written)
        return room if room >= pace.CHUNK else 0

    def _claim(
        self, session: Session, most: int, *, is_free: bool
    ) -> list[tuple[int, Writing]] | None:
        """Claim what is due, as far as the relay's pace goes; None: nothing is.

        Returned is what writes it, which may be nothing of a chunk.
        """
        room = pace.room(session, self._policy, most)
        if room.until is not None:
            at = now()
            if room.until - at < pace.LONGEST_REST:
                self._paced_until = room.until
            else:
                self._wake_at = at + pace.LONGEST_REST
            return None
        is_looking = time.monotonic() - self._looked_at > LOOK_EVERY
        taking = session, self._presence.name, self._members, room.most
        ids, chunk = claims.take(*taking, is_looking=is_looking, is_free=is_free)
        if ids or chunk is not None:
            self._looked_at = time.monotonic() if is_looking else self._looked_at
        self._presence.journal.claim(ids)
        return list(self._compose(session, ids)) if ids else chunk

    def _send(self, writings: list[tuple[int, Writing]], pause: pace.Turns) -> None:
        """Let the messages that were claimed leave, one by one at the pace."""
        self._parcels.hold(delivery_id for delivery_id, _ in writings)
        at = time.monotonic()
        first, apart = at + pause.wait.total_seconds(), pause.apart.total_seconds()
        self._parcels.put(
            Sheet(delivery_id, writing, first + number * apart, at)
            for number, (delivery_id, writing) in enumerate(writings)
        )

    def _consider_rest(self) -> None:
        """Leave the relay alone for a while: longer each time, longest when it named a limit."""
        if reasons := self._parcels.reasons:
            self._parcels.reasons = []
            self._failures += 1
            self._wake_at = now() + pace.rest(self._failures, reasons)
