"""A transaction that fails at each of its statements, one after the other."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError


class Failed(OperationalError):
    """The database failed at this statement."""

    def __init__(self) -> None:
        super().__init__("", {}, Exception())


@contextmanager
def failing(engine, nth: int) -> Iterator[None]:
    left = nth

    def fail(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Failed

    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", fail)


def failures(engine, act: Callable[[], None], check: Callable[[], None], step: int = 1) -> int:
    """Let an act fail at its first statement, its second and so on, until it succeeds.

    Checks after each failure, and returns how often it failed.
    """
    for times in itertools.count():
        try:
            with failing(engine, 1 + times * step):
                act()
        except Failed:
            check()
        else:
            break
    return times
