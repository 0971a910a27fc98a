"""The commands `web` and `worker`: they replace their process, and load no other command."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from belong_mail.core import memory
from belong_mail.core.environment import ENTRY_POINTS, IS_INSTALLED, ROOT
from belong_mail.mail.hosts import is_this_machine

if TYPE_CHECKING:  # the services load the database, which this process does not need
    from belong_mail.core.services import Settings

# The worker runs without docstrings, which take 5 MB, and without columns in tracebacks. The
# installation compiles with these options.
INTERPRETER_OPTIONS = ("-OO", "-X", "no_debug_ranges")
# One malloc arena for all threads: otherwise each connection's thread would start its own.
ARENA_SETTING = {"MALLOC_ARENA_MAX": "1"}
WORKER_ALONE = (
    "BELONG_PRIVATE_KEYS",
    "BELONG_INDEX_KEYS",
    "BELONG_SMTP_CREDENTIALS",
    "BELONG_INBOUND_URL",
    "BELONG_INBOUND_CREDENTIALS",
)
# Format granian's own log lines, such as that a process died, like ours.
SERVER_LOGS = Path(__file__).parents[1] / "web" / "server_logs.json"
# Time that requests have at SIGTERM, as a form may wait ten seconds for SQLite's lock. Then
# processes are killed, even if granian missed the signal during startup.
WEB_PATIENCE = "15s"
# Time that a new process has to start, at a reload, until the one that it replaces is told to stop.
# On a busy host a start takes ten seconds, and granian does not look whether it has ended.
RELOAD_SECONDS = 15
# Threads of each process: few, as pages wait for the database and not for slow clients.
THREADS = 2
# Most connections of a web process, including idle ones.
CONNECTIONS = 512
# Time for a request's headers to arrive.
HEADER_MILLISECONDS = 10_000
NO_PROXY = (
    "BELONG_PROXIES is 0, and in production the web needs a proxy before it that takes each form"
    " whole: a few slow ones would keep everyone out. Set it to 1 behind one nginx or Caddy as in"
    " deploy/."
)


def exec_web_server(host: str, port: int, workers: int, settings: "Settings") -> NoReturn:
    """Replace this process with granian, removing the worker's secrets from the environment."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in WORKER_ALONE
    }
    environ |= dict.fromkeys(WORKER_ALONE, "")
    environ["BELONG_LOG_FORMAT"] = settings.log_format
    options = (
        f"--interface wsgi --factory --http 1 --no-ws --blocking-threads {THREADS}"
        f" --backpressure {CONNECTIONS}"
        f" --http1-header-read-timeout {HEADER_MILLISECONDS} --workers-kill-timeout {WEB_PATIENCE}"
        f" --workers {workers} --respawn-failed-workers"
        f" --respawn-interval {RELOAD_SECONDS} --no-access-log --log-level warning"
    )
    address = ["--host", host, "--port", str(port), "--log-config", str(SERVER_LOGS)]
    server = "granian" if settings.is_development else "belong_mail.web.server"
    arguments = [sys.executable, "-m", server, *options.split(), *address, "wsgi:serve"]
    if IS_INSTALLED:
        places = (str(ENTRY_POINTS), environ.get("PYTHONPATH", ""))
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    else:
        os.chdir(ROOT)
    os.execve(sys.executable, arguments, environ)  # noqa: S606 - no shell, our own arguments


@click.command(epilog="Example: belong web --port 5000 --workers 2")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Number of web processes.",
)
def web(port: int, host: str, workers: int) -> None:
    """Run the production web server.

    It removes the worker's keys from its environment.
    """
    from belong_mail.web.context import services  # noqa: PLC0415 - it loads the database

    given = services().settings
    if given.is_development and not is_this_machine(host):
        raise click.UsageError(
            "--host must be this machine (127.0.0.1) in development, where anyone who can reach it"
            " can read the mailbox. To serve other people, set BELONG_ENV=production."
        )
    if not (given.is_development or given.proxies):
        raise click.ClickException(NO_PROXY)
    exec_web_server(host, port, workers, given)


@click.command(epilog="Example: belong worker --drain")
@click.option("--drain", is_flag=True, help="Work until nothing is due now, then exit.")
def worker(*, drain: bool) -> None:
    """Read requests and send email.

    On SIGTERM it finishes the current message first.
    """
    # It becomes work.py, which imports no pages; id and environment stay.
    program = [sys.executable, *INTERPRETER_OPTIONS, str(ENTRY_POINTS / "work.py")]
    arguments = ["--drain"] if drain else []
    memory.disable_core_dumps()
    os.execve(sys.executable, [*program, *arguments], {**ARENA_SETTING, **os.environ})  # noqa: S606 - no shell, our own arguments
