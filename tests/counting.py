"""Counts what our side of conversations asks of the kernel, and how often mails are rendered."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from belong_mail.core.email_templates import Renderer
from belong_mail.mail.smtp import connection


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
