"""Two workers and one sign-up that was sent twice: whoever is late goes on."""

import threading
import time

from sqlalchemy import delete, event, update

from belong_mail.core.jobs import Job
from tests.db_dump import dump_of
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE


class Elsewhere:
    """Another worker, which answers all requests once a transaction of ours has failed."""

    def __init__(self, services) -> None:
        self._services = services
        self._has_failed, self._has_answered = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._answer)
        engine = services.writing.kw["bind"]
        event.listen(engine, "rollback", self._fail)
        event.listen(engine.pool, "checkout", self._meanwhile)

    def _fail(self, _connection) -> None:
        self._has_failed.set()

    def _meanwhile(self, *_connection) -> None:
        if self._has_failed.is_set() and self.thread.ident is None:
            self.thread.start()
            assert self._has_answered.wait(10)

    def _answer(self) -> None:
        with self._services.writing.begin() as session:
            session.execute(delete(Job))
            self._has_answered.set()
            time.sleep(0.3)


@on_both("races")
def test_a_request_that_another_worker_has_answered_meanwhile_ends_no_worker(
    visitor, worker, services, caplog
):
    """Ours could not read it; before it is counted, the row is held by the other, and gone."""
    visitor.join(VILLAGE, ADA)
    with services.writing.begin() as session:
        session.execute(update(Job).values(sealed=b"not sealed at all"))
    elsewhere = Elsewhere(services)
    worker.drain()
    elsewhere.thread.join(10)
    assert "cannot be read" in caplog.text
    assert dump_of(services)["jobs"] == []
