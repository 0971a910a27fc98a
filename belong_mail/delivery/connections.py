"""Keep a pool of SMTP connections: a thread opens each, and one event loop drives them all."""

import logging
import os
import select
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from belong_mail.delivery.throttle import ConcurrencyLimit
from belong_mail.mail.smtp.connection import RelayUnavailable, SmtpConnection, SmtpSteps, WaitFor
from belong_mail.mail.smtp.protocol import MessageSource, OutgoingMessage
from belong_mail.mail.smtp.transport import Transport

# Seconds that an idle connection is kept.
MAX_IDLE_SECONDS: Final = 60.0
# Seconds between checks of deadlines.
LOOK_GAP_SECONDS: Final = 0.1
# Seconds after a stop; later, only answers to final dots are awaited.
QUIT_SECONDS: Final = 10.0
# Most socket events handled before deadlines are checked.
MAX_CONVERSATIONS: Final = 64
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class ConnectionTask:
    """A conversation in the event loop; `end` wakes the thread that opened it."""

    line: SmtpConnection
    steps: SmtpSteps[None]
    file: int = -1
    wait: WaitFor = "read"
    idle_at: float = 0.0
    error: Exception | None = None
    end: threading.Event = field(default_factory=threading.Event)


class ConnectionPool:
    """Opens each connection in a thread of its own, and drives all of them in one event loop.

    So no connection waits for another's handshake.
    """

    def __init__(
        self, transport: Transport, source: MessageSource, limit: ConcurrencyLimit
    ) -> None:
        self._transport = transport
        self._source = source
        self._limit = limit
        self._most_idle = MAX_IDLE_SECONDS
        self._threads: set[threading.Thread] = set()
        """Threads that open a connection, wait for its conversation, or close it."""
        self._brought: deque[ConnectionTask] = deque()
        self._talks: dict[int, ConnectionTask] = {}
        self._idle: list[ConnectionTask] = []
        self._look_at, self._leave_at = 0.0, float("inf")
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell)
        self._poll = select.epoll()
        self._poll.register(self._bell, select.EPOLLIN)
        source.on_wakeup = self.wake

    def ensure_connections(self) -> None:
        """Open a connection if a message is due, none is idle, and the limit allows one more."""
        is_needed = not self._idle and self._source.due_in() == 0
        if is_needed and len(self._threads) < self._limit.allowed:
            thread = threading.Thread(target=self._converse, daemon=True)
            self._threads.add(thread)
            thread.start()

    def run(self, seconds: float) -> bool:
        """Drive conversations; return True once results can be stored, False on a timeout."""
        until = time.monotonic() + seconds
        while not self._source.pop_wakeup():
            if (left := until - time.monotonic()) <= 0:
                return False
            self.poll(left)
        return True

    def poll(self, seconds: float) -> None:
        """Handle the next events, waiting at most so many seconds for the first."""
        while self._brought:
            task = self._brought.popleft()
            task.file = task.line.make_nonblocking()
            self._talks[task.file] = task
            self._poll.register(task.file, select.EPOLLIN)
            self._step(task)
        self._start_conversations()
        for file, _ in self._poll.poll(self._until_next(seconds), MAX_CONVERSATIONS):
            if file == self._bell:
                os.eventfd_read(self._bell)
            else:
                self._go_on(self._talks[file])
        if time.monotonic() >= self._look_at:
            self._check_deadlines()

    def leave(self) -> None:
        """After QUIT_SECONDS, break off messages that have not reached their final dot."""
        self._leave_at = min(self._leave_at, time.monotonic() + QUIT_SECONDS)

    def wake(self) -> None:
        """Interrupt a waiting `poll`."""
        os.eventfd_write(self._bell, 1)

    def join(self, stop: threading.Event) -> None:
        """Run every conversation to its end; after `leave`, abandon connections still opening."""
        while any(thread.is_alive() for thread in tuple(self._threads)):
            if stop.is_set():
                self.leave()
            if not self._talks and time.monotonic() >= self._leave_at:
                break
            self.poll(LOOK_GAP_SECONDS)
        self._threads = set()

    def run_conversation(self, connection: SmtpConnection, steps: SmtpSteps[None]) -> None:
        """Run a conversation in the event loop, and wait for its end."""
        task = ConnectionTask(connection, steps)
        self._brought.append(task)
        self.wake()
        task.end.wait()
        if task.error is not None:
            raise task.error

    def _converse(self) -> None:
        try:
            self._transport.converse(self._source, self.run_conversation)
        except RelayUnavailable as error:
            self._source.record_unreachable(error)
        except Exception as error:  # noqa: BLE001 - the other connections go on
            log.error("A connection failed: %s", type(error).__name__)  # noqa: TRY400
            self._source.record_unreachable(None)
        finally:
            self._threads.discard(threading.current_thread())
            self.wake()

    def _start_conversations(self) -> None:
        """Give messages to idle conversations, or end these if there will be none."""
        while self._idle and (outgoing := self._source.next_message()) is not None:
            self._step(self._idle.pop(), outgoing)
        while self._idle and not self._source.is_open:
            self._step(self._idle.pop())

    def _until_next(self, seconds: float) -> float:
        """Return the seconds until the next deadline."""
        if not self._talks:
            return seconds
        due = self._source.due_in() if self._idle else None
        return min(seconds, LOOK_GAP_SECONDS, seconds if due is None else due)

    def _go_on(self, task: ConnectionTask) -> None:
        """Continue a conversation after an event; an idle one ends."""
        if task.wait == "message":
            self._idle.remove(task)
        self._step(task)

    def _check_deadlines(self) -> None:
        """End conversations that are past a deadline; called after their answers were read."""
        at = time.monotonic()
        self._look_at = at + LOOK_GAP_SECONDS
        for talk in list(self._talks.values()):
            until = talk.line.deadline if talk.line.now == "DOT" else self._leave_at
            if talk.wait != "message" and min(until, talk.line.deadline) <= at:
                self._step(talk, is_late=True)
            elif talk.wait == "message" and at - talk.idle_at > self._most_idle:
                self._go_on(talk)

    def _step(
        self,
        task: ConnectionTask,
        outgoing: OutgoingMessage | None = None,
        *,
        is_late: bool = False,
    ) -> None:
        """Run a conversation until it has to wait, or to its end."""
        try:
            wait = task.steps.throw(TimeoutError()) if is_late else task.steps.send(outgoing)
        except StopIteration:
            return self._end(task)
        except Exception as error:  # noqa: BLE001 - raised where the conversation came from
            task.error = error
            return self._end(task)
        if wait != task.wait or wait == "message":
            self._change(task, wait)
        return None

    def _change(self, task: ConnectionTask, wait: WaitFor) -> None:
        if "write" in (wait, task.wait):
            event = select.EPOLLOUT if wait == "write" else select.EPOLLIN
            self._poll.modify(task.file, event)
        if wait == "message":
            task.idle_at = time.monotonic()
            self._idle.append(task)
        task.wait = wait

    def _end(self, task: ConnectionTask) -> None:
        """Remove a conversation; epoll forgets a closed socket by itself."""
        del self._talks[task.file]
        if task.line.sock is not None:
            self._poll.unregister(task.file)
        task.end.set()
