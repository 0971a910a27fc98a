"""One line an event, as text or JSON: what happened, and nobody's address, token or path."""

import io
import json
import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from sqlalchemy import text

from belong_mail.core import logs
from belong_mail.delivery import delivery_log, outcomes
from belong_mail.delivery.return_paths import VerpAddresses
from tests.browser_client import link_to
from tests.clients import sign_in
from tests.delivery.factories import deliveries, queue
from tests.district_names import NAMED
from tests.markers import on_both, on_sqlite, one_by_day
from tests.processes import started
from tests.servers.ports import free_port
from tests.slowness import SLOW, call_slow

ADDRESS = "someone@dpsk12.org"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (INFO|WARNING|ERROR) (\w+): (.+)")
STARTED = r'started(?:", "process": | process=)(\d+)'
Lines = Callable[[], list[dict[str, Any]]]


@contextmanager
def configured(style: str) -> Iterator[io.StringIO]:
    """Log to a text as a process does to standard error; leave the loggers as they were."""
    root, ours = logging.getLogger(), logging.getLogger("belong_mail")
    before = root.handlers[:], root.level, ours.level
    logs.configure(style, "web")
    said = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(said)
    try:
        yield said
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return what reads the lines so far, each as JSON."""
    with configured(logs.JSON) as said:
        yield lambda: [json.loads(line) for line in said.getvalue().splitlines()]


def test_a_line_is_text_that_begins_with_time_level_and_program():
    with configured(logs.TEXT) as said:
        fields = {"n": 1, "words": "c d", "said": '"e"', "more": "f\ng"}
        logs.event(logging.getLogger("belong_mail.x"), logging.INFO, "a b", **fields)
        logging.getLogger("a.library").warning("two\nlines")
        logging.getLogger("a.library").info("not told")
    first, second = said.getvalue().splitlines()
    assert LINE.fullmatch(first)
    assert first.endswith('INFO web: a b n=1 words="c d" said="\\"e\\"" more="f\\ng"')
    assert second.endswith("WARNING web: two lines")


def test_an_error_is_named_without_what_it_says(lines):
    try:
        int(ADDRESS)
    except ValueError:
        logging.getLogger("a.library").exception("It failed")
    told = f"A call failed\nTraceback (most recent call last):\n  {ADDRESS}"  # as granian has it
    logging.getLogger("a.library").error(told)
    line, second = lines()
    assert (line["error"], second["event"]) == ("ValueError", "A call failed")
    assert ADDRESS not in f"{line} {second}"


def test_a_page_that_is_not_there_is_logged_by_no_path(visitor, lines):
    """A mistyped link's path may have a secret in it, or somebody's address."""
    assert visitor.open(f"/confirm/secret-of-a-link/{ADDRESS}").status_code == 404
    [line] = lines()
    assert (line["event"], line["status"], line["level"]) == ("request failed", 404, "info")
    assert re.fullmatch("[0-9a-f]{8}", line["request"])
    assert "secret-of-a-link" not in str(line)
    assert ADDRESS not in str(line)


def test_a_link_that_is_refused_is_logged_by_the_name_of_its_page(visitor, worker, relay, lines):
    visitor.join("the-village", ADDRESS)
    worker.drain()
    [mail] = relay.to(ADDRESS)
    link = link_to(mail, "confirm").partition("?")[0]
    assert visitor.open(link).status_code == 200
    assert visitor.open(f"{link}x").status_code == 404
    [line] = [each for each in lines() if each["event"] == "request failed"]
    assert line["page"] == "subscriptions.confirm"
    assert link.rpartition("/")[2] not in str(line)


@on_sqlite
@pytest.mark.parametrize("settings", [{**NAMED, "BELONG_PROXIES": "2"}])
def test_a_proxy_that_does_not_say_where_visitors_are_is_told_once(app, lines):
    client, name = app.test_client(), "belong.example.org"
    for host, came_by in ((name, "192.0.2.1, 10.0.0.1"), ("localhost", "")):
        client.get("/healthz", headers={"Host": host, "X-Forwarded-For": came_by})
    assert lines() == []
    for came_by in ("192.0.2.1", ""):
        client.get("/", headers={"Host": name, "X-Forwarded-For": came_by})
    [line] = lines()
    assert line["level"] == "warning"
    assert str(line["event"]).startswith("No proxy told the web where a visitor is:")
    assert "192.0.2.1" not in str(line)


def test_two_requests_have_ids_of_their_own_and_good_ones_are_not_logged(visitor, lines):
    """One for a name that is not ours is logged as such."""
    assert visitor.open("/").status_code == 200
    visitor.open("/nowhere")
    assert visitor.client.get("/", headers={"Host": "other.example.org"}).status_code == 400
    logs.event(logging.getLogger("belong_mail"), logging.INFO, "later")
    first, second, later = lines()
    assert first["request"] != second["request"]
    assert second["reason"] == "not our host"
    assert "other.example.org" not in str(second)
    assert "request" not in later


@one_by_day("each style of log")
@on_sqlite
@pytest.mark.parametrize("style", [logs.TEXT, logs.JSON])
def test_the_web_server_tells_of_a_dead_process_in_a_line_like_all_others(environment, style):
    """Granian has a format of its own, which no reader of JSON understands."""
    port = free_port()
    command = ("web", "--port", str(port), "--workers", "2")
    with started({**environment, "BELONG_LOG_FORMAT": style}, *command) as process:
        assert process.stdout is not None
        said: list[str] = []
        victim = _read_until(STARTED, process.stdout, said)
        _read_until(STARTED, process.stdout, said)
        os.kill(int(victim[1]), signal.SIGKILL)
        _read_until("Unexpected exit from worker-", process.stdout, said)
        _read_until(STARTED, process.stdout, said)
        process.send_signal(signal.SIGTERM)
        said += process.stdout
    for line in said:
        is_ours = json.loads(line) if style == logs.JSON else LINE.fullmatch(line.strip())
        assert is_ours, line


def _read_until(pattern: str, stream: IO[str], said: list[str]) -> re.Match[str]:
    for line in stream:
        said.append(line)
        if found := re.search(pattern, line):
            return found
    pytest.fail(f"{pattern} was not said, but {said}")


@pytest.fixture
def slowness() -> Iterator[None]:
    call_slow(*SLOW)
    yield
    call_slow()


@on_sqlite
def test_a_slow_request_is_logged_by_the_name_of_its_page(app, visitor, slowness, lines):
    app.before_request(lambda: time.sleep(1.1))
    assert visitor.open("/").status_code == 200
    [line] = [each for each in lines() if each["event"] == "request was slow"]
    assert (line["page"], line["level"]) == ("directory.index", "warning")
    assert line["ms"] >= 1000


@on_both("each driver quotes in its own way")
def test_a_slow_query_is_logged_without_values(services, slowness, lines):
    with services.reading.begin() as session:
        if services.engine.dialect.name == "sqlite":
            driver: Any = session.connection().connection.driver_connection
            driver.create_function("pg_sleep", 1, time.sleep)
        slow = f"SELECT :address AS found, pg_sleep(1.1) /* {'much ' * 99}*/"
        session.execute(text(slow), {"address": ADDRESS})
    [said] = [each for each in lines() if "AS found" in each.get("statement", "")]
    assert said["event"] == "query was slow"
    assert len(said["statement"]) == 300
    assert said["ms"] >= 1000
    assert said["level"] == "warning"
    assert ADDRESS not in str(said)


@on_sqlite
def test_the_log_says_that_somebody_signed_in_and_not_who(app, keyring, lines):
    sign_in(app, keyring, "asian")
    kinds = [each["kind"] for each in lines() if each["event"] == "recorded"]
    assert "signed_in" in kinds
    assert "@" not in str(lines())


@pytest.mark.parametrize("form", ["/groups/the-village/join", "/my-groups", "/contact"])
def test_a_message_is_followed_from_its_form_to_the_relay_without_an_address(
    visitor, worker, relay, services, lines, form
):
    """A newsletter's copies are not: their replies are read in the fast way."""
    typed = {"topic": "need", "message": "Hello"} if form == "/contact" else {}
    relay.always("DOT", "250 2.0.0 Ok: queued as 4dKm2X1Yz9")
    assert visitor.send(form, email=ADDRESS, **typed).status_code == 303
    [stored] = lines()
    assert (stored["event"], len(stored["request"])) == ("stored", 8)
    worker.drain()
    delivery = stored.get("delivery")
    if delivery is None:
        [read] = [each for each in lines() if each["event"] == "job read"]
        assert read["job"] == int(stored["job"])
        delivery = read["delivery"]
    named = VerpAddresses(services.settings.secret_keys, services.settings.mail_domain)
    told = [named.read(each.return_path) for each in relay.accepted]
    assert told == [int(each) for each in delivery.split(",")]
    found = [each for each in lines() if each["event"] == "delivery accepted"]
    assert [(each["delivery"], each["relay"]) for each in found] == [
        (each, "4dKm2X1Yz9") for each in told
    ]
    queue(services, 1)
    worker.drain()
    assert len([each for each in lines() if each["event"] == "delivery accepted"]) == len(found)
    assert "@" not in str(lines())
    assert "join" not in str(lines())


def test_deliveries_that_fail_are_told_one_by_one_and_all_in_numbers(
    services, worker, relay, lines
):
    queue(services, 3)
    relay.script("RCPT member1@dpsk12.org", "550 5.1.1 No such user member1@dpsk12.org")
    worker.drain()
    [told] = [each for each in lines() if each["event"] == "delivery bounced"]
    assert told["code"] == "5.1.1"
    assert told["delivery"] in {each.id for each in deliveries(services)}
    worker.engine.close()
    [numbers] = [each for each in lines() if each["event"] == "deliveries"]
    assert (numbers["accepted"], numbers["bounced"]) == (2, 1)
    assert "@" not in str(lines())


def test_a_flood_of_failures_is_told_in_numbers(lines):
    told = delivery_log.DeliveryLog()
    told.note([(number, outcomes.LOST) for number in range(5000)])
    told.tell(is_last=True)
    *singly, numbers = lines()
    assert len(singly) == delivery_log.MAX_LINES
    assert numbers["uncertain"] == 5000
    told.note([(1, outcomes.LOST)])
    told.tell(is_last=True)
    assert [each["event"] for each in lines()[-2:]] == ["delivery uncertain", "deliveries"]
    assert lines()[-1]["uncertain"] == 1, "A new minute tells of some again, and of those alone."


@on_sqlite
@pytest.mark.parametrize("command", ["worker", "web"])
def test_each_process_says_when_it_starts_and_the_worker_when_it_stops(environment, command):
    port = ("--port", str(free_port()), "--workers", "1") if command == "web" else ()
    with started({**environment, "BELONG_LOG_FORMAT": "json"}, command, *port) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in process.stdout]
    assert (first["event"], first["program"], first["level"]) == ("started", command, "info")
    assert command == "web" or rest[-1]["event"] == "stopped"
