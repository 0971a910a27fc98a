"""The systemd units that we ship: what systemd says of them, and what starts what."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.production.units import Unit

DEPLOY = ROOT / "deploy"
SERVICES = sorted(DEPLOY.glob("*.service"))
TIMERS = sorted(DEPLOY.glob("*.timer"))
ANALYZE = shutil.which("systemd-analyze")
MISSING = "NOT TESTED: the units. There is no systemd-analyze: apt-get install systemd"
IS_REQUIRED = os.environ.get("REQUIRE_SYSTEMD") == "1"
# From here on systemd calls an exposure "MEDIUM"; ours are at 1.4.
LEAST_MEDIUM, TENTHS = 50, 20
# When each timer is due, and whether it makes up for what it missed.
WHEN = {
    "belong-backup": ("*-*-* 03:15", "yes"),
    "belong-doctor": ("*-*-* 06:30", "yes"),
    "belong-status": ("*:0/5", "no"),
}
OF_THE_WORKER = ("belong-backup", "belong-doctor", "belong-status", "belong-worker")


@pytest.fixture
def analyze() -> str:
    """Return the program; without it say so loudly, or fail where it is required."""
    if ANALYZE is None:
        (pytest.fail if IS_REQUIRED else pytest.skip)(MISSING)
    return ANALYZE


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_systemd_finds_nothing_wrong_with_units_and_timers(analyze, tmp_path):
    """In copies that name a user and programs which this machine has."""
    for file in (*SERVICES, *TIMERS):
        text = re.sub(r"=belong(-web|-worker)?\n", "=root\n", file.read_text())
        text = re.sub(r"/(opt/belong-mail/.venv|usr/local)/bin/belong\S*", "/bin/true", text)
        (tmp_path / file.name).write_text(text)
    done = run(analyze, "verify", "--man=no", "--generators=no", *sorted(tmp_path.iterdir()))
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "belong-" in line]
    assert (done.returncode, about_ours) == (0, [])


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.stem)
def test_systemd_rates_the_exposure_of_each_service_as_ok(analyze, file):
    limit = f"--threshold={TENTHS}"
    done = run(analyze, "security", "--offline=true", "--no-pager", limit, file)
    assert done.returncode == 0, done.stdout + done.stderr
    [rated] = re.findall(r"Overall exposure level for .*: ([\d.]+) (\w+)", done.stdout)
    assert float(rated[0]) * 10 <= TENTHS < LEAST_MEDIUM
    assert rated[1] == "OK"


@pytest.mark.parametrize("file", TIMERS, ids=lambda file: file.stem)
def test_each_timer_starts_a_service_that_tells_of_its_failure(analyze, file):
    service = Unit(file.with_suffix(".service"))
    assert service.one("Type") == "oneshot"
    assert service.one("OnFailure") == "belong-alert@%N.service"
    assert service.said["Restart"] == []
    when = Unit(file).one("OnCalendar")
    assert (when, Unit(file).one("Persistent")) == WHEN[file.stem]
    done = run(analyze, "calendar", when)
    assert done.returncode == 0, done.stderr


def test_no_unit_but_the_workers_reads_the_workers_settings():
    readers = [file.stem for file in SERVICES if "worker.env" in file.read_text()]
    assert readers == sorted(OF_THE_WORKER)
    for file in SERVICES:
        unit = Unit(file)
        assert (unit.said["User"] == ["belong-worker"]) == (file.stem in OF_THE_WORKER)
        assert unit.one("LimitCORE") == "0"


def test_the_alert_unit_sees_neither_data_nor_settings():
    unit = Unit(DEPLOY / "belong-alert@.service")
    assert unit.one("EnvironmentFile") == "-/etc/belong-mail/alert.env"
    assert unit.one("DynamicUser") == "yes"
    assert unit.one("StartLimitIntervalSec") == "1h"
    hidden = unit.one("InaccessiblePaths").split()
    assert hidden == ["-/var/lib/belong-mail", "-/var/lib/belong-worker"]


def test_each_service_is_hardened_alike():
    start = "NoNewPrivileges=yes\n"
    parts = {
        file.stem: start + file.read_text().partition(start)[2].partition("\n[Install]")[0].strip()
        for file in SERVICES
    }
    assert len(parts) == len(OF_THE_WORKER) + 2
    assert set(parts.values()) == {parts["belong-worker"]}


def test_no_service_reads_another_processs_memory(analyze):
    """The calls for it in `@system-service` are taken away; `ptrace` is not among them."""
    sets = run(analyze, "syscall-filter").stdout
    said = Unit(DEPLOY / "belong-worker.service").said["SystemCallFilter"]
    assert said == ["@system-service", "~@privileged process_vm_readv process_vm_writev"]
    whole = _calls_of("@system-service", sets)
    assert whole >= {"process_vm_readv", "process_vm_writev", "read"}
    assert "ptrace" not in whole


def _calls_of(name: str, sets: str) -> set[str]:
    """List the system calls in a set, and in those that it names."""
    found: set[str] = set()
    for line in sets.partition(f"{name}\n")[2].partition("\n\n")[0].split():
        found |= _calls_of(line, sets) if line.startswith("@") else {line}
    return found


def test_web_and_worker_come_back_whatever_happens_and_end_in_their_own_time():
    web, worker = (Unit(DEPLOY / f"belong-{name}.service") for name in ("web", "worker"))
    for unit in (web, worker):
        assert (unit.one("Restart"), unit.one("StartLimitIntervalSec")) == ("always", "0")
        assert unit.one("WantedBy") == "multi-user.target"
    assert web.one("KillMode") == "mixed", "it ends its processes itself: a stop is no crash"
    assert web.one("InaccessiblePaths") == "-/var/lib/belong-worker"
    assert worker.one("TimeoutStopSec") == "15min"


@pytest.mark.parametrize(("ended", "told"), [(0, 0), (67, 67), (1, 75)])
def test_a_mail_server_is_to_keep_what_the_pipe_could_not_take(ended, told, tmp_path):
    for name, text in (("common.env", ""), ("web.env", ""), ("python", f"exit {ended}\n")):
        (tmp_path / name).write_text(text)
    script = (DEPLOY / "belong-inbound").read_text().replace("/etc/belong-mail", str(tmp_path))
    script = script.replace("cd /opt/belong-mail", f"cd {tmp_path}")
    script = script.replace(".venv/bin/python", "sh python")
    assert run("sh", "-c", script).returncode == told
