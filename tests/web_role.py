"""The web's role in the tests: what a page does is done with its rights, and nothing beyond."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flask import has_request_context
from psycopg import OperationalError
from sqlalchemy import Connection, create_engine, event, make_url, text

from belong_mail.ops import grants
from belong_mail.ops.grants import WEB

PASSWORD = "web"
INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)")
CONFLICT = re.compile(r" DO UPDATE SET (\w+)")
UPDATE = re.compile(r"UPDATE (\w+) SET (.*?)(?: WHERE| RETURNING|$)")
CHANGED = re.compile(r"(?:^|, )(\w+)\s*=")
DELETE = re.compile(r"DELETE FROM (\w+)")
# Is lost with the tables that a copy brings.
LOST_FIRST = "SELECT has_table_privilege(:role, 'hosts', 'SELECT')"
READ = re.compile(r"(?:FROM|JOIN) (\w+)")


def role_of(url: str) -> str:
    """Name the web's role of a test database."""
    return f"{make_url(url).database}_web"


def url_of_web(url: str) -> str:
    web = make_url(url).set(username=role_of(url), password=PASSWORD)
    return web.render_as_string(hide_password=False)


@contextmanager
def web_role(server: str, name: str) -> Iterator[None]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))
    try:
        yield
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP ROLE {name}"))
        engine.dispose()


def give_rights(engine) -> None:
    with engine.begin() as connection:
        grants.apply_grants(connection, role_of(engine.url.render_as_string()))


def renew_rights(engine) -> None:
    """Give the web's role its rights again, if a test before put other tables in their place."""
    if engine.dialect.name != "postgresql":
        return
    role = {"role": role_of(engine.url.render_as_string())}
    with engine.connect() as connection:
        has_all = connection.scalar(text(LOST_FIRST), role)
    if not has_all:
        give_rights(engine)


@contextmanager
def pages_as_web(engine) -> Iterator[None]:
    """Do what pages do with the rights of the web's role; fail if one needed more."""
    renew_rights(engine)
    refused = watch(engine)
    if engine.dialect.name == "postgresql":
        step_down(engine)
    yield
    assert refused == []


def step_down(engine) -> None:
    """Let each transaction of a page have the rights of the web's role."""
    role = role_of(engine.url.render_as_string())

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        if has_request_context():
            with suppress(OperationalError):  # of a server that is gone the page's statement hears
                connection.connection.driver_connection.execute(f"SET LOCAL ROLE {role}")


@contextmanager
def locked_by_web(engine, statement: str, *, is_brief: bool = True) -> Iterator[None]:
    """Hold locks as an intruder with the web’s role; others wait briefly for them, or as usual."""

    def hurry(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '300ms'")

    with engine.connect() as intruder:
        intruder.exec_driver_sql(f"SET LOCAL ROLE {role_of(str(engine.url))}")
        intruder.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        intruder.exec_driver_sql(statement)
        if is_brief:
            event.listen(engine, "begin", hurry)
        try:
            yield
        finally:
            if is_brief:
                event.remove(engine, "begin", hurry)


def watch(engine) -> list[str]:
    """Note, on either database, each right that a page's statement needs and WEB does not list."""
    refused: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def read(_connection: Any, _cursor: Any, sql: str, *_more: Any) -> None:
        if has_request_context():
            refused.extend(unlisted(sql))

    return refused


def unlisted(sql: str) -> list[str]:
    """Say what the table of grants lacks for a statement."""
    sql = " ".join(sql.split()).replace('"', "")
    needed = [(table, "SELECT", "") for table in READ.findall(sql)]
    for table, columns in INSERT.findall(sql):
        needed += [(table, "INSERT", column) for column in columns.split(", ")]
        needed += [(table, "UPDATE", column) for column in CONFLICT.findall(sql)]
    for table, changes in UPDATE.findall(sql):
        needed += [(table, "UPDATE", column) for column in CHANGED.findall(changes)]
    needed += [(table, "DELETE", "") for table in DELETE.findall(sql)]
    return [
        f"A page needs {command} {table} {column}: list it in belong_mail/ops/grants.py, if it may."
        for table, command, column in needed
        if not is_listed(table, command, column)
    ]


def is_listed(table: str, command: str, column: str) -> bool:
    rights = WEB.get(table)
    if rights is None:
        return table in {"json_each", "pg_catalog"}  # the database’s own
    if command == "DELETE":
        return rights.may_delete
    listed = {"INSERT": rights.insert, "UPDATE": rights.update}
    return command == "SELECT" or column in listed[command].split()
