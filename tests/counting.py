"""Counts what is asked of the kernel and of the database, and how often mails are rendered."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sqlalchemy import event

from belong_mail.core.email_templates import Renderer
from belong_mail.mail.smtp import connection


@contextmanager
def listening(target: Any, happening: str, act: Callable[..., None]) -> Iterator[None]:
    """Call a function whenever SQLAlchemy says that something happens."""
    event.listen(target, happening, act)
    try:
        yield
    finally:
        event.remove(target, happening, act)


@contextmanager
def statements_of(engine) -> Iterator[list[str]]:
    seen: list[str] = []
    with listening(engine, "before_cursor_execute", lambda *given: seen.append(given[2])):
        yield seen


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count in this thread and those that begin meanwhile."""
    counts: Counter[str] = Counter()

    def watch(frame: FrameType, happening: str, argument: Any) -> None:
        if happening == "c_call" and frame.f_code.co_filename == connection.__file__:
            counts[argument.__name__] += 1
        elif happening == "call" and frame.f_code is Renderer.render.__code__:
            counts["render"] += 1

    threading.setprofile(watch)
    sys.setprofile(watch)
    yield counts
    sys.setprofile(None)
    threading.setprofile(None)
