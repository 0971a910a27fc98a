"""Turn the process of `flask` or `belong` into the web server or the worker, before pages load."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from belong_mail.core import memory
from belong_mail.core.environment import ENTRY_POINTS, IS_INSTALLED, ROOT
from belong_mail.mail.hosts import is_this_machine

if TYPE_CHECKING:  # the services load the database, which this process does not need
    from belong_mail.core.services import Settings

# Options of `flask` itself whose value stands apart.
WITH_VALUE = ("-A", "--app", "-e", "--env-file")
# For the worker: no columns for tracebacks, which it does not write, and no docstrings: 5 MB less.
# An installation compiles with these.
INTERPRETER_OPTIONS = ("-OO", "-X", "no_debug_ranges")
# For all threads: those that open connections would each begin a heap of their own.
ARENA_SETTING = {"MALLOC_ARENA_MAX": "1"}
WORKER_ALONE = (
    "BELONG_PRIVATE_KEYS",
    "BELONG_INDEX_KEYS",
    "BELONG_SMTP_CREDENTIALS",
    "BELONG_INBOUND_URL",
    "BELONG_INBOUND_CREDENTIALS",
)
# How granian writes its own lines, such as that a web worker died: as we write ours.
SERVER_LOGS = Path(__file__).parents[1] / "web" / "server_logs.json"
# For which a request may still run at SIGTERM: a form waits ten seconds for SQLite's lock. After
# them a process is killed that was told during startup, where granian may miss it.
WEB_PATIENCE = "15s"
# Threads of each process: pages wait for the database and for each other, not for slow senders.
THREADS = 2
# Connections that a web process holds at most, idle ones too.
CONNECTIONS = 512
# After that a connection ends on which no request has begun, or its headers are not whole.
HEADER_MILLISECONDS = 10_000
NO_PROXY = (
    "BELONG_PROXIES is 0, and in production the web needs a proxy before it that takes each form"
    " whole: a few slow ones would keep everyone out. Set it to 1 behind one nginx or Caddy as in"
    " deploy/."
)


def command_arguments(command: str, arguments: Sequence[str]) -> list[str] | None:
    """Return what stands behind a command in the arguments of `flask`; None for another command.

    `belong` takes the same arguments.
    """
    program, *rest = arguments
    if not {"flask", "belong"} & {Path(program).name, Path(program).parent.name}:
        return None
    while rest and rest[0].startswith("-"):
        if rest[0] == "--help":  # of `flask` itself, which asks nobody to run
            return None
        del rest[: 2 if rest[0] in WITH_VALUE else 1]
    return rest[1:] if rest[:1] == [command] else None


def worker_arguments(arguments: Sequence[str]) -> list[str] | None:
    """Return what a worker is asked to do by the arguments of `flask`; None for all else.

    Unusual calls, such as `worker --help`, are left to the command in `cli`.
    """
    rest = command_arguments("worker", arguments)
    return rest if rest in ([], ["--drain"]) else None


def exec_worker(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by work.py, which loads nothing of the pages; id and settings stay."""
    program = [sys.executable, *INTERPRETER_OPTIONS, str(ENTRY_POINTS / "work.py"), *arguments]
    memory.disable_core_dumps()
    environment = {**ARENA_SETTING, **os.environ}
    os.execve(sys.executable, program, environment)  # noqa: S606 - no shell, our own arguments


def web_command(settings: "Callable[[], Settings]") -> click.Command:
    """Make the command `web`, which asks for the settings when it is called."""

    @click.command()
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
        if settings().is_development and not is_this_machine(host):
            raise click.UsageError(
                "--host must be this machine (127.0.0.1) in development, where anyone who can reach"
                " it can read the mailbox. To serve other people, set BELONG_ENV=production."
            )
        if not (settings().is_development or settings().proxies):
            raise click.ClickException(NO_PROXY)
        exec_web_server(host, port, workers, settings())

    return web


def exec_web_server(host: str, port: int, workers: int, settings: "Settings") -> NoReturn:
    """Replace this process by granian, without what is for the worker alone."""
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
        f" --workers {workers} --respawn-failed-workers --no-access-log --log-level warning"
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
