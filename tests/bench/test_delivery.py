"""The benchmark of delivery runs, counts right and says what it means; no test looks at a time."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench import delivery
from tests.bench.rig import drawing, figures, sinks, tools
from tests.bench.rig.child import Failed, run
from tests.markers import night
from tests.relays.debian import IS_REQUIRED

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = (sys.executable, "-m", "tests.bench.delivery")
# The parts of a quick round that need nothing from a network.
NEEDED = ("core", "calls", "mlmmj")
leave_out = pytest.fail if IS_REQUIRED else pytest.skip
ROUNDS = [
    {"source.cpu": 50.0, "sqlite.cpu": 60.0, "mailman.cpu": 9000.0, "many.peak": 90.0},
    {"source.cpu": 50.0, "sqlite.cpu": 45.0, "mailman.cpu": 9000.0, "many.peak": 70.0},
    {"source.cpu": 40.0, "sqlite.cpu": 80.0, "mailman.cpu": 9600.0, "many.peak": 95.0},
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run one quick round of all parts for which everything is there; return what it kept."""
    folder = tmp_path_factory.mktemp("round")
    parts = [part for part in NEEDED if not why_not(part)]
    if not parts:
        leave_out(f"NOT TESTED: the bench; {why_not(NEEDED[0])}")
    answer = bench("--quick", "--rounds", "1", "--only", ",".join(parts), "--folder", str(folder))
    file = folder / "delivery.json"
    assert file.exists(), answer.stdout + answer.stderr
    assert "CPU a message, SQLite, to smtp-source" in answer.stdout
    kept: dict[str, Any] = json.loads(file.read_text())
    return kept


def why_not(part: str) -> str:
    """Say what a part needs that is not there."""
    if part == "calls" and shutil.which("strace") is None:
        return "no strace"
    for program in [each for each in tools.PACKAGES if part == "mlmmj" or "mlmmj" not in each]:
        try:
            tools.program(program)
        except tools.NotHere as error:
            return str(error)
    return ""


@pytest.fixture
def measured(part: str, request: pytest.FixtureRequest) -> dict[str, float]:
    """Return what a part of the round measured; say so where it could not."""
    if why := why_not(part):
        leave_out(f"NOT TESTED: the bench; {why}")
    about = request.getfixturevalue("kept")["about"]
    assert part not in about["trouble"], about["trouble"]
    [measured] = request.getfixturevalue("kept")["rounds"]
    found: dict[str, float] = measured
    return found


@night("benches")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["core"])
def test_a_round_measures_us_as_shipped_beside_the_others(measured, kept):
    """The bench itself insists that each message arrived once, and that the books agree."""
    assert kept["about"]["trouble"] == {}
    for name in ("source", "sqlite", "postgresql", "tls"):
        assert measured[f"{name}.cpu"] > 0
    protections = kept["about"]["protections"]
    assert protections.keys() == {"journal", "sealing", "suppression", "pacing"}
    assert all(protections.values())


@night("benches")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["calls"])
def test_a_message_is_one_send_and_two_receives_at_most(measured):
    assert measured["calls.sent"] <= 1.1, "a body goes alone where nothing waits behind it"
    assert measured["calls.received"] <= 2.05


@night("benches")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["mlmmj"])
def test_mlmmj_sends_the_same_message_to_every_member_of_its_list(measured):
    assert measured["mlmmj.cpu"] > 0


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BENCH, *options], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_figure_is_judged_by_its_median():
    by_name = {each.figure.measure + each.figure.to: each for each in figures.results(ROUNDS)}
    sqlite = by_name["sqlite.cpusource.cpu"]
    assert sqlite.values == (1.2, 0.9, 2.0)
    assert sqlite.spread() == ("0.90 ×", "1.20 ×", "2.00 ×")
    assert (sqlite.is_held, sqlite.is_reached) == (True, False)
    mailman = by_name["mailman.cpusqlite.cpu"]
    assert (mailman.median, mailman.is_held, mailman.is_reached) == (150, True, False)
    assert by_name["many.peak"].is_held is False


def test_what_was_not_measured_is_said():
    [row] = [line for line in figures.as_text(ROUNDS).splitlines() if "PostgreSQL, to" in line]
    assert "not measured" in row
    assert "✓" not in row
    assert "✗" not in row


def test_the_drawing_stands_alone_and_says_what_it_shows():
    drawn = ET.fromstring(drawing.draw(ROUNDS))  # noqa: S314 - our own
    name = "{http://www.w3.org/2000/svg}"
    assert drawn.get("role") == "img"
    assert drawn.findtext(f"{name}title")
    assert "Belong Mail, SQLite: 1.2×" in (drawn.findtext(f"{name}desc") or "")
    assert "prefers-color-scheme: dark" in (drawn.findtext(f"{name}style") or "")
    assert len(drawn.findall(f"{name}rect")) == 3
    assert {*drawn.iter(f"{name}script"), *drawn.iter(f"{name}image")} == set()


def test_the_page_takes_the_table_and_keeps_its_words(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(delivery.PAGE.read_text())
    before, after = (
        page.read_text().split(delivery.BEGIN)[0],
        page.read_text().split(delivery.END)[1],
    )
    about = {"at": "2026-11-24T18:00", "cores": 2, "system": "Linux", "python": "3.11", "octets": 1}
    for rounds in (ROUNDS, ROUNDS[:2]):
        delivery.write_page(page, list(rounds), about)
        text = page.read_text()
        assert text.startswith(before + delivery.BEGIN)
        assert text.endswith(delivery.END + after)
        assert text.count("| CPU a message, SQLite, to smtp-source |") == 1


@night("benches")
def test_the_documents_take_only_whole_rounds():
    for options in (["--quick"], ["--rounds", "4"]):
        answer = bench("--write-docs", *options)
        assert answer.returncode == 2
        assert "whole rounds" in answer.stderr


@night("benches")
def test_an_unknown_part_is_refused_with_those_there_are():
    answer = bench("--only", "core,speed")
    assert answer.returncode == 2
    assert "There is no speed; there is core, " in answer.stderr


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(Failed, match="no luck"):
        run([sys.executable, "-c", "raise SystemExit('no luck')"], {})


@night("benches")
def test_the_cost_of_a_process_is_its_own():
    work = "data = bytearray(50_000_000); sum(range(5_000_000)); print(len(data))"
    work += "; import time; time.sleep(2)  # Long enough for a look, however busy the machine is."
    idle = run([sys.executable, "-c", "pass"], {})
    busy = run([sys.executable, "-c", work], {})
    assert busy.words.strip() == "50000000"
    assert busy.cpu > idle.cpu
    assert busy.peak - idle.peak > 40_000_000


def test_a_far_sink_is_as_far_as_it_says():
    """A round trip takes at least that long; how much longer is the machine's affair."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        echo = threading.Thread(target=_echo, args=(listener,))
        echo.start()
        near = sinks.Sink(listener.getsockname()[1], Path("nowhere"))
        with (
            sinks.far_away(near, 0.2) as far,
            socket.create_connection(("127.0.0.1", far.port)) as visitor,
        ):
            began = time.monotonic()
            visitor.sendall(b"hello")
            assert visitor.recv(10) == b"hello"
            assert time.monotonic() - began >= 0.2
        echo.join(60)


def _echo(listener: socket.socket) -> None:
    """Give back what comes; first comes whoever asks whether the link is there."""
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)
