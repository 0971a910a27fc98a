"""A PostgreSQL server that falls silent, and hosts that freeze while they hold its locks."""

import fcntl
import os
import signal
import termios
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, make_url, select, text
from sqlalchemy.exc import OperationalError

from belong_mail.core.db import make_engine, now
from belong_mail.ops.hold import Host
from tests.database import query
from tests.delivery.factories import books, queue
from tests.factories import make_members, queue_issue
from tests.markers import on_postgresql, one_by_day
from tests.ops.troubles import is_said
from tests.processes import SECONDS, run, running
from tests.servers.network import FarTunnel, Network, require
from tests.servers.ports import free_port
from tests.servers.site import Browser, Site
from tests.servers.site import running as site_running
from tests.servers.tunnel import Tunnel
from tests.waiting import wait_until

pytestmark = on_postgresql

Settings = dict[str, str]
AWAY = "Database or state folder cannot be used"
# Seconds after which whoever has time must know of a server that is gone, and of a long answer.
GONE, LONG = 60, 75
# Deliveries that are not over, statements that take long, and those that wait for a lock.
UNFINISHED = "deliveries WHERE state <> 'accepted'"
ASLEEP = "pg_stat_activity WHERE wait_event = 'PgSleep'"
WAITING = "pg_locks WHERE NOT granted"
# More than the web can serve at once.
VISITORS = 8


@pytest.fixture(params=["silent", "dropped"])
def tunnel(database_url: str, request) -> Iterator[Tunnel]:
    """A server that says nothing, or a router that drops the packets: all, or only the answers."""
    if request.param == "silent":
        with Tunnel(database_url) as tunnel:
            yield tunnel
        return
    require()
    is_deaf = request.param == "deaf"
    with Network() as network, FarTunnel(database_url, network, is_deaf=is_deaf) as tunnel:
        yield tunnel


@pytest.fixture
def beyond(environment: Settings, services, tunnel: Tunnel) -> Settings:
    return {**environment, "BELONG_DATABASE_URL": tunnel.url}


@pytest.fixture
def site(beyond: Settings, tmp_path) -> Iterator[Site]:
    port = free_port()
    given = {**beyond, "BELONG_BASE_URL": f"http://localhost:{port}"}
    with site_running(given, tmp_path, port) as site:
        yield site


def look(site: Site, path: str) -> int:
    """Return the status of a page, or raise TimeoutError: a browser waits for a minute at most."""
    return Browser(site.browser.port).get(path).status_code


@one_by_day("networks that fail")
def test_while_the_database_is_silent_each_page_says_so_soon_and_the_process_stays_alive(
    site, tunnel, services
):
    wait_until(lambda: _is_met(services, now() - timedelta(hours=1)))
    tunnel.swallow()
    paths = ["/"] * VISITORS + ["/healthz"]
    with ThreadPoolExecutor(len(paths)) as visitors:
        seen = list(visitors.map(lambda path: look(site, path), paths))
        again = list(visitors.map(lambda path: look(site, path), paths))
    assert seen + again == ([503] * VISITORS + [200]) * 2
    tunnel.carry()
    carried_at = now()
    wait_until(lambda: look(site, "/") == 200)
    wait_until(lambda: _is_met(services, carried_at))


@one_by_day("networks that fail")
def test_a_worker_that_is_told_to_stop_while_the_database_is_silent_ends(
    beyond, tunnel, relay, services
):
    issue = queue(services, 3)
    with running(beyond, "worker") as process:
        relay.wait_for(3, SECONDS)
        wait_until(lambda: books(services, issue).get("accepted") == 3)
        tunnel.swallow()
        time.sleep(1)
        process.terminate()
        said, _ = process.communicate(timeout=SECONDS)
    assert "Traceback" not in said
    assert "Error: The database cannot be used" in said
    assert books(services, issue) == {"recipients": 3, "accepted": 3}


@one_by_day("networks that fail")
@pytest.mark.parametrize("tunnel", ["silent", "dropped", "deaf"], indirect=True)
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}])
def test_a_worker_goes_on_after_a_silence_and_has_lost_and_doubled_nothing(
    beyond, tunnel, relay, services
):
    issue = queue(services, 120)
    relay.delay = 0.05
    with running(beyond, "worker") as process:
        relay.wait_for(30, SECONDS)
        tunnel.swallow()
        is_said(process, AWAY)
        tunnel.carry()
        relay.wait_for(120, SECONDS)
        wait_until(lambda: books(services, issue).get("accepted") == 120)
        assert process.poll() is None
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) == 120


@pytest.mark.parametrize("tunnel", ["dropped"], indirect=True)
def test_a_connection_that_has_time_learns_that_the_server_is_gone(services, tunnel):
    """One waits for an answer while it is lost, the other speaks to nobody."""
    engine = make_engine(tunnel.url).execution_options(has_time=True)
    with ThreadPoolExecutor(2) as people, engine.connect() as one, engine.connect() as other:
        other.execute(text("SELECT 1"))
        waiting = people.submit(one.execute, text(f"SELECT pg_sleep({LONG})"))
        wait_until(lambda: _count(services, ASLEEP) and _has_arrived(one))
        tunnel.swallow()
        speaking = people.submit(other.execute, text("SELECT 1"))
        wait((waiting, speaking), GONE)
        have_ended = waiting.done(), speaking.done()
        tunnel.carry()
        assert have_ended == (True, True)
        for each in (waiting, speaking):
            assert isinstance(each.exception(), OperationalError)
    engine.dispose()


@pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "1000", "BELONG_SEND_RATE": "6000"}])
def test_a_host_that_freezes_within_a_transaction_stops_the_others_for_seconds_only(
    environment, relay, services, keyring, tmp_path
):
    """It keeps the locks of the relay's day, the same for all hosts, and of what it claims."""
    other = {**environment, "BELONG_STATE_FOLDER": str(tmp_path / "other-host")}
    assert run(environment, "worker", "--drain").returncode == 0
    assert run(other, "hold", "release").returncode == 0
    with services.writing.begin() as session:
        make_members(session, keyring, 1, "asian")
        queue_issue(session, "asian")
    with running(environment, "worker") as frozen:
        relay.wait_for(1, SECONDS)
        wait_until(lambda: not _count(services, UNFINISHED))
        time.sleep(1)  # it is at rest then, and takes the first lock for a claim
        with services.engine.begin() as connection:
            connection.execute(text("LOCK TABLE deliveries IN SHARE MODE"))
            issue = queue(services, 30)
            wait_until(lambda: _count(services, WAITING))
            os.killpg(frozen.pid, signal.SIGSTOP)
        with running(other, "worker") as process:
            is_said(process, f"{AWAY}: OperationalError")
            relay.wait_for(31, SECONDS)
            os.killpg(frozen.pid, signal.SIGCONT)
            is_said(frozen, "IdleInTransactionSessionTimeout")
            for each in (frozen, process):
                each.terminate()
                each.communicate(timeout=SECONDS)
                assert each.returncode == 0
    assert len({one.recipient for one in relay.accepted[1:]}) == len(relay.accepted[1:]) == 30
    assert books(services, issue) == {"recipients": 30, "accepted": 30}


def _is_met(services, after: datetime) -> bool:
    return any(seen_at > after for seen_at in query(services, select(Host.seen_at)))


def _count(services, what: str) -> int:
    return query(services, select(text(f"count(*) FROM {what}")))[0]


def _has_arrived(connection: Connection) -> bool:
    """Tell whether the other machine has acknowledged every octet: what comes next is silence."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return not any(fcntl.ioctl(driver.fileno(), termios.TIOCOUTQ, bytes(4)))


def _set(url: str, name: str) -> str:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.scalar(text("SELECT current_setting(:name)"), {"name": name}))
    finally:
        engine.dispose()


def test_options_in_the_url_override_our_limits(database_url):
    given = make_url(database_url).update_query_dict({"options": "-c lock_timeout=20s"})
    url = given.render_as_string(hide_password=False)
    names = ("lock_timeout", "idle_in_transaction_session_timeout")
    assert [_set(database_url, name) for name in names] == ["5s", "15s"]
    assert [_set(url, name) for name in names] == ["20s", "15s"]


def test_a_connection_that_has_time_waits_longer_than_our_limits(services):
    """A step of the schema waits for locks, and may take minutes."""
    with services.engine.execution_options(has_time=True).begin() as connection:
        assert connection.scalar(text("SELECT current_setting('lock_timeout')")) == "0"
        connection.execute(text("SELECT pg_sleep(8)"))
    with services.engine.begin() as connection:
        assert connection.scalar(text("SELECT current_setting('lock_timeout')")) == "5s"
