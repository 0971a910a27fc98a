"""Counts what is asked of the kernel and of the database, and how often mails are rendered."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sqlalchemy import event

from belong_mail.core.email_templates import Renderer
from belong_mail.mail.smtp import connection


@contextmanager
def statements_of(engine) -> Iterator[list[str]]:
    """Keep each statement that an engine is given."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


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
