"""A transaction that fails at each of its statements, one after the other."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError


class Failed(OperationalError):
    """The database failed at this statement."""

    def __init__(self) -> None:
        super().__init__("", {}, Exception())


def failures(engine, act: Callable[[], None], check: Callable[[], None], step: int = 1) -> int:
    """Let an act fail at its first statement, its second and so on, until it succeeds.

    Checks after each failure, and returns how often it failed.
    """
    times = left = 0

    def fail(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Failed

    event.listen(engine, "before_cursor_execute", fail)
    try:
        while True:
            left = 1 + times * step
            try:
                act()
            except Failed:
                check()
                times += 1
            else:
                return times
    finally:
        event.remove(engine, "before_cursor_execute", fail)
