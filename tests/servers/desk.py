"""The orders of a mail server of the tests, and its records."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property

from tests.servers.actions import Action, Say
from tests.servers.listening import Listener
from tests.waiting import SECONDS, wait_until


@dataclass(frozen=True)
class Accepted:
    return_path: str
    recipient: str
    data: bytes
    at: float

    @cached_property
    def message(self) -> EmailMessage:
        return BytesParser(EmailMessage, policy=policy.default).parsebytes(self.data)


class Desk(Listener):
    """Scripts and records of a server, shared by its conversations."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[Accepted] = []
        self.breaks = 0
        """Final dots that were taken and not well answered."""
        self.commands: list[str] = []
        self.faults: list[str] = []
        """What a strict server would not have taken."""
        self.delay = 0.0
        """Seconds before each usual answer to the final dot."""
        self._scripts: dict[str, deque[Action | None]] = defaultdict(deque)
        self._habits: dict[str, Action] = {}
        self._hooks: dict[str, Callable[[str], object]] = {}
        self._lock = threading.Lock()

    def script(self, verb: str, *actions: Action | str | None) -> None:
        """Do these in turn at the next times the verb is read; text is a reply, None the usual.

        Beside verbs: CONNECT, BODY (part of the message is in), DOT, DATA UNINVITED (no recipient
        was taken); each also "… ada@example.org" (RCPT, DATA, BODY, DOT).
        """
        self._scripts[verb].extend(Say(act) if isinstance(act, str) else act for act in actions)

    def always(self, verb: str, action: Action | str) -> None:
        """Do this every time the verb is read and nothing is scripted."""
        self._habits[verb] = Say(action) if isinstance(action, str) else action

    def usual(self) -> None:
        """Forget scripts, habits and hooks: be well from now on."""
        with self._lock:
            self._scripts.clear()
            self._habits.clear()
            self._hooks.clear()

    def on(self, verb: str, hook: Callable[[str], object]) -> None:
        """Call this with the command when the verb is read; "after DOT" is after its answer."""
        self._hooks[verb] = hook

    def hold_after(self, count: int) -> threading.Event:
        """Take not many more than these until the event is set, and then all others."""
        may_go_on = threading.Event()
        self.on("DOT", lambda _: len(self.accepted) >= count and may_go_on.wait(SECONDS))
        return may_go_on

    def to(self, address: str) -> list[EmailMessage]:
        """Return the messages accepted for this address, oldest first."""
        return [one.message for one in self.accepted if one.recipient.lower() == address.lower()]

    def wait_for(self, count: int, seconds: float = 60.0) -> list[Accepted]:
        """Return what was accepted as soon as it is that many, or raise TimeoutError."""
        came = self.accepted
        wait_until(lambda: len(came) >= count, lambda: f"{len(came)} of {count} came.", seconds)
        return list(self.accepted)

    def take(self, return_path: str, recipient: str, data: bytes, *, is_answered: bool) -> None:
        """Write down a message, before anybody hears that it was taken."""
        with self._lock:
            self.accepted.append(Accepted(return_path, recipient, data, time.time()))
            self.breaks += not is_answered

    def action(self, *verbs: str) -> Action | None:
        with self._lock:
            for verb in verbs:
                if script := self._scripts.get(verb):
                    return script.popleft()
        return next((self._habits[verb] for verb in verbs if verb in self._habits), None)

    def is_watched(self, moment: str) -> bool:
        return moment in self._hooks

    def tell(self, moment: str, command: str) -> None:
        """Call whoever waits for this moment."""
        if hook := self._hooks.get(moment):
            hook(command)
