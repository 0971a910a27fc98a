"""Actions of a mail server of the tests in place of its usual answer."""

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Over(Exception):
    """The conversation is over."""


class Conversation(Protocol):
    """The means of an action."""

    sock: socket.socket
    stopping: threading.Event
    # The verb of the answer that was given, or is taken as given.
    code: str

    def say(self, text: str) -> None: ...

    def write(self, data: bytes) -> None: ...


Action = Callable[[Conversation], None]


@dataclass(frozen=True)
class Say:
    """Answer with a reply, whose lines are separated by LF."""

    text: str

    def __call__(self, conversation) -> None:
        conversation.say(self.text)

    @property
    def is_refusal(self) -> bool:
        return self.text[0] in "45"


def write(data: bytes, *, as_if: str = "") -> Action:
    """Write these very bytes, then go on as if the usual (or that) answer had been given."""

    def act(conversation) -> None:
        conversation.write(data)
        conversation.code = as_if or conversation.code

    return act


def drop(data: bytes = b"") -> Action:
    """Hang up, perhaps after half a reply."""

    def act(conversation) -> None:
        conversation.write(data)
        raise Over

    return act


def reset(conversation) -> None:
    linger = struct.pack("ii", 1, 0)
    conversation.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    raise Over


def hang(seconds: float = 3600.0) -> Action:
    """Say nothing for that long, then hang up."""

    def act(conversation) -> None:
        conversation.stopping.wait(seconds)
        raise Over

    return act


def drip(text: str, every: float) -> Action:

    def act(conversation) -> None:
        for octet in f"{text}\r\n".encode():
            conversation.write(bytes([octet]))
            if conversation.stopping.wait(every):
                raise Over
        conversation.code = text[:3]

    return act
