"""Opens connections, each in a thread, and drives all their conversations in one."""

import logging
import os
import select
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from belong_mail.mail.connection import Unreachable
from belong_mail.mail.feed import Feed, Parcel
from belong_mail.mail.line import Line
from belong_mail.mail.relay import Transport
from belong_mail.mail.steps import Steps, Wait
from belong_mail.sending.pace import Flow

MAX_IDLE: Final = 60.0
"""Seconds a connection is kept without work."""
LOOK_EVERY: Final = 0.1
"""Seconds between looks at deadlines."""
LEAVE: Final = 10.0
"""Seconds after which one who was told to stop waits for answers to final dots alone."""
AT_ONCE: Final = 64
"""Conversations that go on before there is a look at what else happens."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Talk:
    """A conversation that is driven here; the thread that brought it waits for its end."""

    line: Line
    steps: Steps[None]
    file: int = -1
    wait: Wait = Wait.READ
    idle_at: float = 0.0
    error: Exception | None = None
    end: threading.Event = field(default_factory=threading.Event)


class Crew:
    """A thread for each connection opens it, brings the conversation here, and says goodbye.

    In between whoever calls `attend` drives: no thread waits for another one's turn.
    """

    def __init__(
        self, transport: Transport, feed: Feed, flow: Flow, idle: float = MAX_IDLE
    ) -> None:
        self._transport = transport
        self._feed = feed
        self._flow = flow
        self._most_idle = idle
        self._threads: list[threading.Thread] = []
        self._brought: deque[Talk] = deque()
        self._talks: dict[int, Talk] = {}
        self._idle: list[Talk] = []
        self._look_at, self._leave_at = 0.0, float("inf")
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell)
        self._poll = select.epoll()
        self._poll.register(self._bell, select.EPOLLIN)
        feed.ring = self.wake

    def man(self) -> None:
        """Start a connection for what waits, if all others are at work and one more may be."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        is_needed = self._feed.needs_hands and not self._idle
        if is_needed and len(self._threads) < self._flow.allowed:
            self._threads.append(threading.Thread(target=self._converse, daemon=True))
            self._threads[-1].start()

    def attend(self, seconds: float) -> None:
        """Drive the conversations until there is news for the database, or for so long."""
        until = time.monotonic() + seconds
        while not self._feed.take_news() and (left := until - time.monotonic()) > 0:
            self.tend(left)

    def tend(self, seconds: float) -> None:
        """Take the next steps; wait so long for the first of them."""
        while self._brought:
            self._welcome(self._brought.popleft())
        self._occupy()
        for file, _ in self._poll.poll(self._until_next(seconds), AT_ONCE):
            if file == self._bell:
                os.eventfd_read(self._bell)
            else:
                self._go_on(self._talks[file])
        if time.monotonic() >= self._look_at:
            self._look()

    def wake(self) -> None:
        """End the wait of whoever drives."""
        os.eventfd_write(self._bell, 1)

    def join(self, told: threading.Event) -> None:
        """Drive every conversation to its end.

        Once we were told to stop, what has not come to its final dot is broken off after a while,
        and who still opens a connection is left: it can say nothing without us.
        """
        while any(thread.is_alive() for thread in self._threads):
            if told.is_set():
                self._leave_at = min(self._leave_at, time.monotonic() + LEAVE)
            if not self._talks and time.monotonic() >= self._leave_at:
                break
            self.tend(LOOK_EVERY)
        self._threads = []

    def drive(self, line: Line, steps: Steps[None]) -> None:
        """Have a conversation driven, and wait for its end."""
        talk = Talk(line, steps)
        self._brought.append(talk)
        self.wake()
        talk.end.wait()
        if talk.error is not None:
            raise talk.error

    def _converse(self) -> None:
        try:
            self._transport.converse(self._feed, self.drive)
        except Unreachable as error:
            self._feed.unreachable(error)
        except Exception as error:  # noqa: BLE001 - the other connections go on
            log.error("A connection failed: %s", type(error).__name__)  # noqa: TRY400
            self._feed.unreachable(None)
        finally:
            self.wake()

    def _welcome(self, talk: Talk) -> None:
        talk.file = talk.line.attend()
        self._talks[talk.file] = talk
        self._poll.register(talk.file, select.EPOLLIN)
        self._step(talk)

    def _occupy(self) -> None:
        """Give parcels to those without one, or let them go when none is to come."""
        while self._idle and (parcel := self._feed.take(0)) is not None:
            self._step(self._idle.pop(), parcel)
        while self._idle and not self._feed.is_open:
            self._step(self._idle.pop())

    def _until_next(self, seconds: float) -> float:
        """Return how long nothing happens by itself."""
        if not self._talks:
            return seconds
        due = self._feed.due_in() if self._idle else None
        return min(seconds, LOOK_EVERY, seconds if due is None else due)

    def _go_on(self, talk: Talk) -> None:
        """Go on after what was waited for; one without a parcel has nothing to hear, and ends."""
        if talk.wait is Wait.PARCEL:
            self._idle.remove(talk)
        self._step(talk)

    def _look(self) -> None:
        """End what takes too long, and who was idle for long. What has come was heard before."""
        at = time.monotonic()
        self._look_at = at + LOOK_EVERY
        for talk in list(self._talks.values()):
            until = talk.line.deadline if talk.line.now == "DOT" else self._leave_at
            if talk.wait is not Wait.PARCEL and min(until, talk.line.deadline) <= at:
                self._step(talk, is_late=True)
            elif talk.wait is Wait.PARCEL and at - talk.idle_at > self._most_idle:
                self._go_on(talk)

    def _step(self, talk: Talk, parcel: Parcel | None = None, *, is_late: bool = False) -> None:
        """Take a conversation to its next wait, or to its end."""
        try:
            wait = talk.steps.throw(TimeoutError()) if is_late else talk.steps.send(parcel)
        except StopIteration:
            return self._end(talk)
        except Exception as error:  # noqa: BLE001 - raised where the conversation came from
            talk.error = error
            return self._end(talk)
        if wait is not talk.wait or wait is Wait.PARCEL:
            self._change(talk, wait)
        return None

    def _change(self, talk: Talk, wait: Wait) -> None:
        if Wait.WRITE in (wait, talk.wait):
            event = select.EPOLLOUT if wait is Wait.WRITE else select.EPOLLIN
            self._poll.modify(talk.file, event)
        if wait is Wait.PARCEL:
            talk.idle_at = time.monotonic()
            self._idle.append(talk)
        talk.wait = wait

    def _end(self, talk: Talk) -> None:
        """Forget a conversation; a line that it has closed has left the poll by itself."""
        del self._talks[talk.file]
        if talk.line.sock is not None:
            self._poll.unregister(talk.file)
        talk.end.set()
