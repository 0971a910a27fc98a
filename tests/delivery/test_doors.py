"""How a worker starts: it becomes a program of its own, which loads nothing of the pages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.delivery.factories import queue
from tests.factories import queue_issue
from tests.markers import on_sqlite
from tests.processes import ROOT, SECONDS, flask, started, surroundings

OF_THE_PAGES = {
    "PIL", "alembic", "click", "flask", "flask_wtf",
    "granian", "icalendar", "jinja2", "markdown_it", "psycopg", "segno",
    "sqlalchemy.dialects.postgresql", "werkzeug", "wtforms",
}  # fmt: skip
MEGABYTE = 1_000_000
# With the pages it would be 97 and more. Three are what SQLAlchemy and Babel load themselves.
MOST = 84 * MEGABYTE


def loaded(environment, door: str) -> set[str]:
    code = f"import json, sys, {door}; print(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=surroundings(environment), text=True,
        capture_output=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    return set(json.loads(ended.stdout))


@on_sqlite
def test_a_worker_loads_nothing_of_the_pages(environment):
    modules = loaded(environment, "work, belong_mail.worker.process")
    assert modules & OF_THE_PAGES == set()
    ours = {name for name in modules if name.startswith("belong_mail.")}
    assert {name for name in ours if name.endswith((".views", ".forms", ".commands"))} == set()
    assert "belong_mail.inbound.returned" not in ours, "until mail comes back"
    assert not [name for name in ours if name.startswith("belong_mail.mail.bounces.")]
    pages = loaded(environment, "wsgi; wsgi.serve()")
    assert pages >= {"flask", "belong_mail.pages.directory"}
    assert "PIL" not in pages, "pictures are decoded by a process of their own"
    assert {"fido2", "markdown_it"} & pages == set(), "until a passkey or a newsletter is used"
    of_the_worker = (".emails", ".proven", ".rooms", ".tasks", ".work")
    assert {
        name for name in pages if name.startswith("belong_mail.") and name.endswith(of_the_worker)
    } == set()


@pytest.mark.parametrize(("door", "most"), [("config", 260), ("belong_mail.ops.cli", 140)])
def test_settings_and_help_are_read_without_loading_a_database(environment, door, most):
    """Before the web server starts, and for each message that comes back, no more is needed."""
    modules = loaded(environment, door)
    assert {"sqlalchemy", "psycopg", "flask", "jinja2"} & modules == set()
    assert len(modules) <= most


def test_a_command_loads_none_of_the_pages(environment):
    modules = loaded(environment, "belong_mail.monitoring.commands, wsgi; wsgi.create_app()")
    assert {"belong_mail.app", "wtforms", "fido2", "icalendar", "dns"} & modules == set()


@on_sqlite
def test_a_worker_that_sends_has_become_another_program(environment, relay, services):
    """Checks its modules by then, and how much memory it took at most, compiled."""
    queue(services, 50)
    with services.writing.begin() as session:
        queue_issue(session)
    drained = [*flask("worker"), "--drain"]  # compiles all that sending loads
    subprocess.run(drained, cwd=ROOT, env=surroundings(environment), check=True)
    with services.writing.begin() as session:
        queue_issue(session)
    with started(environment, "worker") as process:
        relay.wait_for(150, SECONDS)
        proc = Path(f"/proc/{process.pid}")
        command = proc.joinpath("cmdline").read_bytes().split(b"\0")
        libraries = proc.joinpath("maps").read_text()
        [peak] = [
            int(line.split()[1]) * 1024
            for line in proc.joinpath("status").read_text().splitlines()
            if line.startswith("VmHWM:")
        ]
    assert os.fsencode(ROOT / "work.py") in command
    assert "cryptography" in libraries
    assert "/PIL/" not in libraries
    assert peak < MOST, f"{peak / MEGABYTE:.1f} MB"


@on_sqlite
def test_a_worker_finds_its_settings_from_anywhere(environment, services, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "flask", "--app", str(ROOT / "wsgi.py"), "worker", "--drain"],
        cwd=tmp_path, env=surroundings(environment), text=True, capture_output=True,
        timeout=SECONDS, check=True,
    )  # fmt: skip
    assert ended.stdout == "Nothing is waiting.\n"
