"""Replace the process of `flask` or `belong` with the web server or worker, before pages load."""

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

# Options of `flask` itself that take a value as a separate argument.
WITH_VALUE = ("-A", "--app", "-e", "--env-file")
# For the worker: no columns for tracebacks, and no docstrings, which are 5 MB. An installation
# compiles with these.
INTERPRETER_OPTIONS = ("-OO", "-X", "no_debug_ranges")
# One heap for all threads: each thread that opens a connection would begin its own.
ARENA_SETTING = {"MALLOC_ARENA_MAX": "1"}
WORKER_ALONE = (
    "BELONG_PRIVATE_KEYS",
    "BELONG_INDEX_KEYS",
    "BELONG_SMTP_CREDENTIALS",
    "BELONG_INBOUND_URL",
    "BELONG_INBOUND_CREDENTIALS",
)
# Makes granian's own lines, such as that a web process died, look like ours.
SERVER_LOGS = Path(__file__).parents[1] / "web" / "server_logs.json"
# Seconds that a request may still take at SIGTERM: a form waits ten seconds for SQLite's lock. Then
# the process is killed, even if granian missed the signal during startup.
WEB_PATIENCE = "15s"
# Threads of each process. Pages wait for the database and each other, not for slow senders.
THREADS = 2
# Connections that a web process holds at most, idle ones too.
CONNECTIONS = 512
# Milliseconds after which a connection ends if its request's headers are not complete.
HEADER_MILLISECONDS = 10_000
NO_PROXY = (
    "BELONG_PROXIES is 0, and in production the web needs a proxy before it that takes each form"
    " whole: a few slow ones would keep everyone out. Set it to 1 behind one nginx or Caddy as in"
    " deploy/."
)


def command_arguments(command: str, arguments: Sequence[str]) -> list[str] | None:
    """Return the arguments after a command of `flask`, or None if it is another command.

    `belong` takes the same arguments.
    """
    program, *rest = arguments
    if not {"flask", "belong"} & {Path(program).name, Path(program).parent.name}:
        return None
    while rest and rest[0].startswith("-"):
        if rest[0] == "--help":  # an option of `flask` itself, which runs no command
            return None
        del rest[: 2 if rest[0] in WITH_VALUE else 1]
    return rest[1:] if rest[:1] == [command] else None


def worker_arguments(arguments: Sequence[str]) -> list[str] | None:
    """Return what `flask worker` asks of the worker, or None for anything else.

    Unusual calls, such as `worker --help`, are left to the command in `cli`.
    """
    rest = command_arguments("worker", arguments)
    return rest if rest in ([], ["--drain"]) else None


def exec_worker(arguments: Sequence[str]) -> NoReturn:
    """Replace this process with work.py, which loads no pages; process id and settings stay."""
    program = [sys.executable, *INTERPRETER_OPTIONS, str(ENTRY_POINTS / "work.py"), *arguments]
    memory.disable_core_dumps()
    environment = {**ARENA_SETTING, **os.environ}
    os.execve(sys.executable, program, environment)  # noqa: S606 - no shell, our own arguments


def web_command(settings: "Callable[[], Settings]") -> click.Command:
    """Make the command `web`; it asks for the settings only when it runs."""

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
    """Replace this process with granian, without the worker's secrets in its environment."""
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
