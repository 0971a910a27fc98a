"""Everything an operator can do, on one page; features bring their own commands."""

import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import with_appcontext

from belong_mail import retention, sentences
from belong_mail.accounts.commands import lead_commands, office_commands
from belong_mail.becoming import DRAIN, become_worker
from belong_mail.current import transaction
from belong_mail.hold.commands import hold_commands
from belong_mail.interests.commands import group_commands
from belong_mail.questions.commands import question_commands
from belong_mail.releases.commands import newsletter_commands
from belong_mail.returns.commands import bounce_commands, contact_commands, inbound_command

WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")
WEB_PATIENCE = "5s"
"""For a web worker that is told to stop while it starts: it does not hear, and is killed."""

OPERATING = "belong_mail.operating.commands"
DEVELOPMENT = "belong_mail.operating.development"
LATER = {
    "db": "The database: its schema, and copies of it.",
    "keys": "Keys: new ones, and the change from old to new.",
    "doctor": "Look at keys, database, relay, DNS, clocks and what waits.",
    "demo": "Add made-up confirmed members at example.org to a group.",
    "prepare": "Make a development instance ready: schema, groups and the sample.",
}
"""Commands that need what neither web nor worker needs: it is loaded with them."""


class Later(click.Command):
    """Stands for a command of `operating` until that is wanted."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        return _operating(self.name or "").make_context(*arguments, **options)


@cache
def _operating(name: str) -> click.Command:
    module = DEVELOPMENT if name in ("demo", "prepare") else OPERATING
    command: click.Command = import_module(module).COMMANDS[name]
    _equip(command)
    return command


def register(app: Flask) -> None:
    for command in (*COMMANDS, *(Later(name, help=words) for name, words in LATER.items())):
        app.cli.add_command(command)


def _equip(command: click.Command) -> None:
    """Give a command the app, and a sentence in place of a traceback when there is no database."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _equip(each)
    if command.callback is not None:
        command.callback = with_appcontext(_with_sentence(command.callback))


def _with_sentence(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless there is a sentence about it
            raise click.ClickException(sentences.about(error)) from None

    return called


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Where to listen.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def web(port: int, host: str, workers: int) -> None:
    """Serve the pages. The keys of the worker do not stay in this process's environment."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in WORKER_ALONE
    }
    environ |= dict.fromkeys(WORKER_ALONE, "")
    options = "--interface wsgi --blocking-threads 2 --backpressure 64 --no-ws"
    patience = ["--workers-kill-timeout", WEB_PATIENCE]
    options += f" --workers {workers}"
    address = ["--host", host, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    arguments = [sys.executable, "-m", "granian", *options.split(), *patience, *address, "wsgi:app"]
    os.chdir(Path(__file__).resolve().parent.parent)
    os.execve(sys.executable, arguments, environ)  # noqa: S606 - no shell, our own arguments


@click.command()
@click.option("--drain", is_flag=True, help="Work until nothing is due now, then end.")
def worker(*, drain: bool) -> None:
    """Open, index and send what waits; on SIGTERM finish what is in hand."""
    become_worker([DRAIN] if drain else [])


@click.command()
def purge() -> None:
    """Run the retention clock now and say what it removed."""
    with transaction() as session:
        removed = retention.purge(session)
    for name, number in removed.items():
        click.echo(f"{name}\t{number}")


COMMANDS = (
    group_commands, lead_commands, office_commands, question_commands, newsletter_commands,
    contact_commands, hold_commands, inbound_command, bounce_commands, web, worker, purge,
)  # fmt: skip
for each_command in COMMANDS:
    _equip(each_command)
