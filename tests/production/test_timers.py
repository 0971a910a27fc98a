"""Commands that the timers start: a copy of the database, the doctor, the status; and the alert."""

import json
import shlex
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from belong_mail.ops import backup_retention
from tests.production.units import WORKER, settings
from tests.servers.pages import serving


def run_unit(stage, name: str) -> subprocess.CompletedProcess[str]:
    """Run a unit of type oneshot: what is to run before, then its command."""
    unit = stage.unit(name)
    assert unit.one("User") == WORKER.name
    for line in (*unit.said["ExecStartPre"], unit.one("ExecStart")):
        done = WORKER.run(
            shlex.split(line.replace("%%", "%")),
            {**stage.surroundings, **unit.environment()},
            cwd=unit.one("WorkingDirectory"), umask=int(unit.one("UMask"), 8),
        )  # fmt: skip
        if done.returncode:
            break
    return done


@pytest.mark.parametrize("stage", ["sqlite"], indirect=True)
def test_the_nightly_copy_can_be_restored_and_old_ones_go(stage):
    copies = stage.folder / "var" / "lib" / "belong-worker" / "copies"
    first = run_unit(stage, "backup")
    assert first.returncode == 0, first.stdout + first.stderr
    [copy] = copies.iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copies.stat().st_mode) == 0o700
    stage.flask("db", "drill", str(copy))
    days = [datetime.now(UTC) - timedelta(days=n) for n in range(1, 60)]
    for day in days:
        (copies / backup_retention.file_name(day)).hardlink_to(copy)
    assert run_unit(stage, "backup").returncode == 0
    kept = {file.name for file in copies.iterdir()}
    assert {backup_retention.file_name(day) for day in days[:6]} < kept
    assert not {backup_retention.file_name(day) for day in days[27:]} & kept


def test_the_status_is_silent_while_all_is_well_and_the_doctor_fails_where_something_is_to_do(
    stage,
):
    """From the worker's first sign on; nobody publishes records for the stage's domain."""
    stage.wait_for(lambda: run_unit(stage, "status").returncode == 0)
    done = run_unit(stage, "status")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run_unit(stage, "doctor")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "SPF" in done.stdout


def test_an_alert_reaches_the_operators_own_service_and_names_no_person(stage):
    with listening() as (url, heard):
        done = alert(stage, ALERT_URL=url)
    assert done.returncode == 0, done.stderr
    [(path, body)] = heard
    assert path == "/hook/secret"
    [words] = json.loads(body).values()
    assert "belong-doctor failed on " in words
    assert "journalctl -u belong-doctor" in words
    assert "@" not in words
    assert done.stderr.startswith("<2>belong-doctor failed")
    shipped = settings(stage.installation.etc / "alert.env")
    assert shipped == {"ALERT_URL": ""}
    done = alert(stage, **shipped)
    assert done.returncode == 0, "without a service it is in the journal"
    assert done.stderr.startswith("<2>belong-doctor failed")
    for url in ("http://127.0.0.1:9/hook/secret", "http://example.org/hook/secret"):
        done = alert(stage, ALERT_URL=url)
        assert done.returncode == 1, "it is not heard"
        assert "secret" not in done.stderr


def alert(stage, **environment: str) -> subprocess.CompletedProcess[str]:
    command = stage.unit("alert@").one("ExecStart").replace("%i", "belong-doctor")
    return WORKER.run(shlex.split(command), {**stage.surroundings, **environment})


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Be a chat's incoming webhook."""
    heard: list[tuple[str, bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, body))
            self.send_response(204)
            self.end_headers()

    with serving(Hook) as port:
        yield f"http://127.0.0.1:{port}/hook/secret", heard
