"""The engine: takes what is due, hands it to the relay, and writes down what became of it.

Each step is committed before the act it names, so that after a crash at any moment a delivery is
either certainly not handed over, or known to be uncertain.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from belong_mail.db import NO_DATABASE, now
from belong_mail.mail.address import AddressRefused
from belong_mail.mail.dialogue import AnswerLost, Unreachable
from belong_mail.mail.message import Envelope, MessageRefused
from belong_mail.mail.outcomes import Reply
from belong_mail.mail.relay import Transport
from belong_mail.sending import claims, outcomes, pace
from belong_mail.sending.models import Delivery, State

BATCH = 20
FIRST_WAIT = timedelta(minutes=1)
HALTED_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=15)
"""Between tries of a relay that does not answer."""

ABOUT_ONE = {"RCPT", "DATA", "body"}
"""Phases in which a broken conversation may be this message's fault: it is put off, and counted."""

log = logging.getLogger(__name__)


class NotSent(Exception):
    """The message is not to be sent; the state says why: withdrawn, suppressed, failed."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


class Halted(Exception):
    """The issue is paused or stopped: the delivery waits until somebody decides."""


class LeaseLost(Exception):
    """Another worker took the delivery over: ours must not go out."""


Compose = Callable[[Session, Delivery], Envelope]
"""Writes a delivery's message, or raises NotSent."""


class Engine:
    def __init__(
        self,
        sessions: sessionmaker[Session],
        transport: Transport,
        compose: Compose,
        members: claims.Members,
        presence: claims.Presence,
        policy: pace.Policy,
    ) -> None:
        self._sessions = sessions
        self._transport = transport
        self._compose = compose
        self._members = members
        self._presence = presence
        self._policy = policy
        self._failures = 0
        self._wake_at: datetime | None = None
        self.stopping = threading.Event()

    def recover(self) -> None:
        """Take over what dead workers left."""
        with self._sessions.begin() as session:
            for delivery in claims.recover(session, self._presence):
                outcomes.write(delivery, outcomes.lost(self._policy.uncertain))

    def work(self) -> bool:
        """Send one batch; tell whether there was anything to do."""
        if self._wake_at is not None and now() < self._wake_at:
            return False
        self._wake_at = None
        with self._sessions.begin() as session:
            room = pace.room(session, self._policy, BATCH)
            batch = claims.claim(session, self._presence.name, room)
            is_expanded = room > 0 and not batch and claims.claim_chunk(session, self._members)
        if not room:
            self._wake_at = now() + LONGEST_WAIT
        for delivery_id in batch:
            if self.stopping.is_set() or self._wake_at is not None:
                break
            self._deliver(delivery_id)
        with self._sessions.begin() as session:
            claims.release(session, self._presence.name, due_at=self._wake_at)
        return bool(batch) or is_expanded

    def close(self) -> None:
        self._transport.close()
        self._presence.end()

    def _deliver(self, delivery_id: int) -> None:
        envelope = self._prepare(delivery_id)
        if envelope is None or not self._is_our_turn():
            return
        try:
            reply = self._transport.send(envelope, lambda: self._mark_dot(delivery_id))
        except LeaseLost:
            return
        except (AddressRefused, MessageRefused):
            self._put_away(delivery_id)
        except Unreachable as error:
            log.warning("The relay could not be used, at %s.", error.phase)
            self._rest(error.reply)
            if error.phase in ABOUT_ONE:
                self._finish(delivery_id, outcomes.Outcome(State.DEFERRED))
        except AnswerLost:
            self._finish(delivery_id, outcomes.lost(self._policy.uncertain))
        else:
            outcome = outcomes.of(reply)
            if outcome.is_about_us:
                log.warning("The relay takes nothing now: %d %s.", reply.code, outcome.phrase)
                self._rest(reply)
            else:
                self._failures = 0
            self._finish(delivery_id, outcome)

    def _prepare(self, delivery_id: int) -> Envelope | None:
        """Write the message; what cannot be written is put away, and the rest goes on."""
        try:
            with self._sessions.begin() as session:
                return self._compose(session, session.get_one(Delivery, delivery_id))
        except Halted:
            with self._sessions.begin() as session:
                again = now() + HALTED_WAIT
                claims.release(session, self._presence.name, again, [delivery_id])
        except NotSent as reason:
            self._finish(delivery_id, outcomes.Outcome(reason.state))
        except NO_DATABASE:
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("Delivery %d cannot be written: %s", delivery_id, type(error).__name__)  # noqa: TRY400
            self._put_away(delivery_id)
        return None

    def _put_away(self, delivery_id: int) -> None:
        self._finish(delivery_id, outcomes.Outcome(State.FAILED, phrase="cannot be written"))

    def _is_our_turn(self) -> bool:
        """Keep the relay's pace: wait for our turn, or rest if that is long (after a clock's jump).

        False as well when we are told to stop.
        """
        with self._sessions.begin() as session:
            wait = pace.turn(session, self._policy) - now()
        if wait > LONGEST_WAIT:
            self._wake_at = now() + LONGEST_WAIT
            return False
        return wait <= timedelta(0) or not self.stopping.wait(wait.total_seconds())

    def _mark_dot(self, delivery_id: int) -> None:
        """Write down, before the final dot, that from here on no answer means uncertain."""
        with self._sessions.begin() as session:
            if not claims.mark_dot(session, self._presence.name, delivery_id):
                raise LeaseLost

    def _finish(self, delivery_id: int, outcome: outcomes.Outcome) -> None:
        with self._sessions.begin() as session:
            delivery = session.get_one(Delivery, delivery_id, with_for_update=True)
            if delivery.state == State.SENDING and delivery.claimed_by == self._presence.name:
                outcomes.write(delivery, outcome)
                if outcome.is_about_us:
                    delivery.due_at = self._wake_at

    def _rest(self, reply: Reply | None) -> None:
        """Leave the relay alone for a while: longer each time, longest when it named a limit."""
        self._failures += 1
        wait = min(FIRST_WAIT * 2 ** min(self._failures - 1, 8), LONGEST_WAIT)
        if reply is not None:
            wait = max(wait, outcomes.rest(reply))
        self._wake_at = now() + wait
