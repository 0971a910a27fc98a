"""Two workers and one sign-up that was sent twice: whoever is late goes on."""

import threading
import time

from sqlalchemy import delete, event, update

from belong_mail.core.jobs import Job
from tests.db_dump import dump_of
from tests.markers import on_both
from tests.scenario import ADA, VILLAGE


@on_both("races")
def test_a_request_that_another_worker_has_answered_meanwhile_ends_no_worker(
    visitor, worker, services, caplog
):
    """Ours could not read it; before it is counted, the row is held by the other, and gone."""
    has_failed, has_answered = threading.Event(), threading.Event()

    def answer() -> None:
        with services.writing.begin() as session:
            session.execute(delete(Job))
            has_answered.set()
            time.sleep(0.3)

    elsewhere = threading.Thread(target=answer)

    def meanwhile(*_connection: object) -> None:
        if has_failed.is_set() and elsewhere.ident is None:
            elsewhere.start()
            assert has_answered.wait(10)

    visitor.join(VILLAGE, ADA)
    with services.writing.begin() as session:
        session.execute(update(Job).values(sealed=b"not sealed at all"))
    event.listen(services.engine, "rollback", lambda _connection: has_failed.set())
    event.listen(services.engine.pool, "checkout", meanwhile)
    worker.drain()
    elsewhere.join(10)
    assert "cannot be read" in caplog.text
    assert dump_of(services)["jobs"] == []
