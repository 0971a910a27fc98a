"""Two workers and one wish that was sent twice: whoever is late goes on."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import delete, event, update

from belong_mail.parts import Parts
from belong_mail.subscriptions.models import Request
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.people import Visitor
from tests.stage import ADA, VILLAGE


class Elsewhere:
    """Another worker, which answers all requests once a transaction of ours has failed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._has_failed, self._has_answered = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._answer)
        engine = parts.writing.kw["bind"]
        event.listen(engine, "rollback", self._fail)
        event.listen(engine.pool, "checkout", self._meanwhile)

    def _fail(self, _connection: Any) -> None:
        self._has_failed.set()

    def _meanwhile(self, *_connection: Any) -> None:
        if self._has_failed.is_set() and self.thread.ident is None:
            self.thread.start()
            assert self._has_answered.wait(10)

    def _answer(self) -> None:
        with self._parts.writing.begin() as session:
            session.execute(delete(Request))
            self._has_answered.set()
            time.sleep(0.3)


def test_a_request_that_another_worker_has_answered_meanwhile_ends_no_worker(
    visitor: Visitor, worker: Worker, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours could not read it; before it is counted, the row is held by the other, and gone."""
    visitor.join(VILLAGE, ADA)
    with parts.writing.begin() as session:
        session.execute(update(Request).values(sealed=b"not sealed at all"))
    elsewhere = Elsewhere(parts)
    worker.drain()
    elsewhere.thread.join(10)
    assert "cannot be read" in caplog.text
    assert dump_of(parts)["requests"] == []
