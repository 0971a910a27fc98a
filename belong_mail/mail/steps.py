"""Steps of a conversation: it waits by yielding, so that one thread can have many of them."""

from collections.abc import Callable, Generator
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


class Wait(Enum):
    """What a conversation waits for."""

    READ = "read"
    WRITE = "write"
    PARCEL = "parcel"
    """Nothing is under way; it goes on with the parcel that it is sent, or ends with None."""


Steps = Generator[Wait, Any, T]
"""Takes the next step when it is resumed; TimeoutError, thrown in, says that it is too late."""


def here(steps: Steps[T], beforehand: Callable[[], object]) -> T:
    """Take all steps in this thread, on a socket that blocks, and call something before each."""
    try:
        while True:
            beforehand()
            next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
