"""What a stranger sees of an answer, and what the database is asked meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from werkzeug.test import TestResponse

from tests.scenario import Scenario


@contextmanager
def statements_of(scenario: Scenario) -> Iterator[list[tuple[str, Any]]]:
    """Record every statement, and the length of each value that goes with it."""
    seen: list[tuple[str, Any]] = []

    def record(_conn: Any, _cur: Any, statement: str, given: Any, *_: Any) -> None:
        values = given.values() if isinstance(given, dict) else given
        seen.append((statement, [(type(v), len(v) if isinstance(v, bytes) else 0) for v in values]))

    event.listen(scenario.engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(scenario.engine, "before_cursor_execute", record)


def seen_by_a_stranger(answer: TestResponse) -> tuple[object, ...]:
    return answer.status_code, answer.data, sorted(answer.headers.items())
