"""The database itself refuses to write where a page only reads."""

import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock

import pytest
from sqlalchemy import column, delete, event, select, table, text, update
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, StatementError

from belong_mail.contact.models import ContactMessage
from belong_mail.core.database_errors import NO_DATABASE
from belong_mail.core.db import make_engine
from belong_mail.core.drivers import (
    BUSY_POLL_SECONDS,
    connect_sqlite,
    lock_sqlite,
    parse_sqlite_url,
)
from belong_mail.core.statements import CompiledStatement
from belong_mail.groups.models import Group
from belong_mail.meetings.models import Meeting
from belong_mail.web.context import transaction
from tests.db_dump import dump_of, kept_of
from tests.factories import plan_meeting
from tests.markers import on_both, on_sqlite
from tests.waiting import SECONDS, wait_until

pytestmark = on_both("transactions and locks")

AT = datetime(2026, 3, 3, 12, tzinfo=UTC)


def message(reference: str = "AAAA-AAAA", at: datetime = AT) -> ContactMessage:
    return ContactMessage(reference=reference, sealed=b"sealed", received_at=at)


def test_a_page_that_is_only_looked_at_cannot_write(app, services):
    """Nor can any reading transaction."""
    before = kept_of(services)
    with services.reading() as session:
        session.add(message())
        with pytest.raises(DBAPIError):
            session.flush()
    for method in ("GET", "HEAD", "OPTIONS"):
        with (
            app.test_request_context("/", method=method),
            pytest.raises(DBAPIError),
            transaction() as session,
        ):
            session.add(message())
    assert kept_of(services) == before


def hold(services, seconds: float, is_held: threading.Event) -> None:
    with services.writing.begin() as session:
        session.connection()
        is_held.set()
        time.sleep(seconds)


@on_sqlite
def test_a_waiting_writer_asks_for_the_lock_again_and_again(database_url, services):
    """SQLite alone would ask ever more seldom, and find out a tenth of a second later."""
    said, connection = list[str](), connect_sqlite(*parse_sqlite_url(database_url))
    connection.set_trace_callback(said.append)
    waiting = threading.Thread(target=lock_sqlite, args=(connection, SECONDS))
    with services.writing.begin() as session:
        session.connection()
        waiting.start()
        wait_until(lambda: said.count("BEGIN IMMEDIATE") >= 30)
    waiting.join()
    assert connection.in_transaction
    connection.close()
    assert BUSY_POLL_SECONDS < 0.001, "or the slowest forms wait a fifth longer"


@on_sqlite
def test_waiting_writer_gives_up_after_its_time(database_url, services):
    """SQLite does not wait once more, for as long: a page waits at most so many seconds."""
    said: list[str] = []
    engine = make_engine(f"{database_url}?timeout=0.5")
    event.listen(engine, "connect", lambda driver, _: driver.set_trace_callback(said.append))
    with services.writing.begin() as session:
        session.connection()
        began = time.monotonic()
        with pytest.raises(OperationalError), engine.begin():
            pass
        assert time.monotonic() - began >= 0.5
    assert said[-3:] == ["PRAGMA busy_timeout=0", "BEGIN IMMEDIATE", "PRAGMA busy_timeout=500"]
    engine.dispose()


@on_sqlite
def test_an_upgrade_waits_for_the_other_one_longer_than_a_page(database_url, services):
    engine = make_engine(f"{database_url}?timeout=0.01")
    is_held = threading.Event()
    other = threading.Thread(target=hold, args=(services, 0.24, is_held))
    other.start()
    is_held.wait()
    with engine.execution_options(has_time=True).begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    other.join()
    engine.dispose()


def test_an_error_takes_everything_back(app, services):
    def fail() -> None:
        with transaction() as session:
            session.add(message())
            session.flush()
            raise RuntimeError

    with app.app_context(), pytest.raises(RuntimeError):
        fail()
    assert dump_of(services)["contact_messages"] == []


def test_no_update_is_lost_between_threads(services):
    """SQLite's driver begins late by itself and loses updates; ours takes the lock at once."""
    with services.writing.begin() as session:
        session.add(message("0"))

    def count() -> None:
        for _ in range(20):
            with services.writing.begin() as session:
                row = session.scalars(select(ContactMessage).with_for_update()).one()
                row.reference = str(int(row.reference) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [row] = dump_of(services)["contact_messages"]
    assert "80" in row


def test_a_moment_comes_back_as_it_was_from_any_zone_and_one_without_is_refused(services):
    denver = timezone(timedelta(hours=-7))
    with services.writing.begin() as session:
        session.add(message(at=AT.astimezone(denver)))
    with services.reading.begin() as session:
        assert session.scalars(select(ContactMessage.received_at)).one() == AT
    with services.writing() as session:
        session.add(message("B", at=AT.replace(tzinfo=None)))
        with pytest.raises(StatementError, match="not a moment"):
            session.flush()


def test_an_error_of_the_database_does_not_quote_what_was_to_be_stored(services):
    with (
        pytest.raises(DBAPIError) as caught,
        services.writing.begin() as session,
    ):
        session.execute(
            text("INSERT INTO nowhere VALUES (:address)"), {"address": "ada@dpsk12.org"}
        )
    assert "ada" not in str(caught.value)


NOWHERE = CompiledStatement(select(column("id")).select_from(table("nowhere")))
ONE = CompiledStatement(select(text("1")))
EMPTYING = CompiledStatement(delete(ContactMessage))


def test_a_statement_handed_to_the_driver_fails_like_any_other(services):
    with (
        services.writing.begin() as session,
        pytest.raises((OperationalError, ProgrammingError), match="nowhere"),
    ):
        NOWHERE.run(session.connection(), {})
    with services.reading.begin() as session, pytest.raises(DBAPIError):
        EMPTYING.run(session.connection(), {})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_cut_connection_is_not_used_again_after_what_is_handed_to_the_driver(services):
    with services.writing() as session:
        connection = session.connection()
        number = session.scalar(text("SELECT pg_backend_pid()"))
        with services.reading.begin() as other:
            other.execute(text(f"SELECT pg_terminate_backend({number}, 9000)"))
        with pytest.raises(NO_DATABASE):
            ONE.run(connection, {})
        assert connection.invalidated
    with services.writing.begin() as session:
        assert [tuple(row) for row in ONE.run(session.connection(), {})[0]] == [(1,)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_has_just_closed_is_replaced(services):
    """Though it was in use a moment ago, and so would need no ping."""
    ask = text("SELECT pg_backend_pid()")
    with services.reading.begin() as other:
        other.connection()
        with services.writing.begin() as session:
            number = session.scalar(ask)
        other.execute(text(f"SELECT pg_terminate_backend({number}, 5000)"))
        with services.writing.begin() as session:
            assert session.scalar(ask) != number


@on_sqlite
def test_a_commit_is_on_the_disk(services):
    """A power cut must not take back that somebody joined, nor that a worker has a mail in hand."""
    with services.writing() as session:
        assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_date_out_of_range_is_loaded_as_the_nearest_one_that_we_accept(is_binary, services):
    """The web may write any; a row that does not load would fail for one person alone."""
    moments = ["-infinity", "0044-03-15 BC", "0001-01-01", "2026-03-03 12:00Z"]
    moments += ["9999-12-31", "12026-03-03", "infinity"]
    days = [f"date '{each}', timestamptz '{each}'" for each in moments]
    times = ["time '12:30'", "time '24:00'"]
    with services.reading.begin() as session:
        driver = session.connection().connection.driver_connection
        row = driver.execute(f"SELECT {', '.join(days + times)}", binary=is_binary).fetchone()
    least, most = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
    loaded = [least] * 3 + [AT] + [most] * 3
    expected = [each for at in loaded for each in (at.date(), at)]
    assert list(row) == [*expected, clock(12, 30), clock.max]


@pytest.mark.parametrize(
    "written", ["'x'", "5", "x'00'", "'0001-01-01'", "'9999-12-31'", "'2026-12-01 20:00:00+00:00'"]
)
@on_sqlite
def test_a_sqlite_value_that_is_no_valid_time_or_text_still_loads(written, services):
    """One row that does not load kept the newsletters and the meetings of all groups."""
    odd = dict.fromkeys(("starts_on", "ends_at", "changed_at"), text(written))
    with services.writing.begin() as session:
        plan_meeting(session)
        session.execute(update(Meeting).values(**odd, place=text("CAST(x'61ff' AS TEXT)")))
    with services.reading.begin() as session:
        loaded = session.scalars(select(Meeting)).one()
    least, most = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
    assert loaded.starts_on in {least.date(), most.date(), date(2026, 12, 1)}
    assert loaded.changed_at in {least, most}
    assert loaded.ends_at == clock.min
    assert loaded.place == "a\ufffd"


@pytest.mark.parametrize(
    ("written", "read"), [("5", []), ('"a"', []), ('["a", 5, ["b"], "\\ud800"]', ["a", "?"])]
)
def test_an_item_that_is_no_text_is_left_out_of_a_list_of_texts(written, read, services):
    """The web may write any JSON into a group, and every email asks for the names of all groups."""
    with services.writing.begin() as session:
        session.execute(text("UPDATE groups SET known_names = :written"), {"written": written})
        assert session.scalars(select(Group.known_names)).first() == read
