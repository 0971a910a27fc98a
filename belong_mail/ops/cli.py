"""The operator's commands; each room brings its own."""

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import Any, Final

import click
from flask import Flask
from flask.cli import with_appcontext

from belong_mail.accounts.commands import lead_commands, office_commands
from belong_mail.core.terminal import is_quiet, quiet_option
from belong_mail.groups.commands import group_commands
from belong_mail.inbound.commands import inbound_command
from belong_mail.members.commands import import_command
from belong_mail.newsletters.commands import newsletter_commands
from belong_mail.office import commands as _office_commands  # noqa: F401 - ends groups
from belong_mail.ops import user_errors
from belong_mail.ops.launcher import exec_worker, web_command
from belong_mail.web.context import services

COMMANDS_MODULE = "belong_mail.ops.commands"
MONITORING_MODULE = "belong_mail.monitoring.commands"
SETUP_MODULE = "belong_mail.ops.setup_command"


# Commands that need what neither web nor worker needs: it is loaded with them.
LAZY_COMMANDS = {
    "setup": "Write the settings and keys of this machine.",
    "db": "Upgrade, check, back up and restore the database.",
    "keys": "Make new keys, and replace old ones.",
    "doctor": "Check everything and say what to do.",
    "status": "Report what has been stuck too long, for cron.",
    "outbox": "Retry email that is waiting.",
    "purge": "Delete what is past its retention time, now.",
    "hold": "Hold sending, or release the hold.",
    "demo": "Add made-up members to a group, in development.",
    "prepare": "Set up a development site with sample data.",
}
COPY: Final = "/var/lib/belong-worker/2027-06-01"
# Of commands that take something; the others are called as they are.
EXAMPLES: Final = {
    "web": "belong web --port 5000 --workers 2",
    "worker": "belong worker --drain",
    "inbound explain": "belong inbound explain bounce.eml",
    "group launch": "belong group launch autoimmune",
    "group retire": "belong group retire asian --days 30",
    "group restore": "belong group restore asian",
    "lead remove": "belong lead remove --group asian",
    "lead unlink": "belong lead unlink",
    "office remove": "belong office remove",
    "newsletter report": "belong newsletter report ID --json",
    "newsletter release": "belong newsletter release ID",
    "newsletter cancel": "belong newsletter cancel ID",
    "newsletter pause": "belong newsletter pause ID",
    "newsletter resume": "belong newsletter resume ID",
    "newsletter stop": "belong newsletter stop ID",
    "db backup": f"belong db backup {COPY}",
    "db restore": f"belong db restore {COPY} --key-file /media/stick/backup-key",
    "db drill": f"belong db drill {COPY} --key-file /media/stick/backup-key",
    "db move": "belong db move /etc/belong-mail/keys/database",
    "keys new": "belong keys new > /root/belong-keys",
    "keys backup": "belong keys backup /media/stick/backup-key",
    "keys rotate": "belong keys rotate > /root/belong-keys",
    "hold release": "belong hold release --doubt",
    "doctor": "belong doctor --probe --wait 300",
    "status": "belong status || curl -d 'Belong Mail needs a look.' https://alerts.example.org/x",
    "demo": "belong demo --group asian --members 500",
}


class LazyCommand(click.Command):
    """Stands for a command of `operating` until that is wanted."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        return _load_command(self.name or "").make_context(*arguments, **options)


@cache
def _load_command(name: str) -> click.Command:
    """Load a command; setup runs before there are settings, so it gets no app."""
    if name == "setup":
        setup: click.Command = import_module(SETUP_MODULE).setup_command
        _explain(setup, name)
        return setup
    module = MONITORING_MODULE if name in {"doctor", "status"} else COMMANDS_MODULE
    command: click.Command = import_module(module).COMMANDS[name]
    _wrap_command(command, name)
    return command


def every_command() -> tuple[click.Command, ...]:
    lazy = (LazyCommand(name, help=words) for name, words in LAZY_COMMANDS.items())
    return (*COMMANDS, *lazy)


def register(app: Flask) -> None:
    for command in every_command():
        app.cli.add_command(command)


def _wrap_command(command: click.Command, name: str) -> None:
    """Give a command the app, an example, and an error message in place of a traceback."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _wrap_command(each, f"{name} {each.name}")
    else:
        command.params.append(quiet_option())
    _explain(command, name)
    if command.callback is not None:
        command.callback = with_appcontext(_with_error_message(command.callback))


def _explain(command: click.Command, name: str) -> None:
    if command.epilog is None and not isinstance(command, click.Group):
        command.epilog = f"Example: {EXAMPLES.get(name, f'belong {name}')}"


def _with_error_message(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless there is a sentence about it
            raise click.ClickException(user_errors.error_message(error)) from None

    return called


@click.command()
@click.option("--drain", is_flag=True, help="Work until nothing is due now, then exit.")
def worker(*, drain: bool) -> None:
    """Read requests and send email.

    On SIGTERM it finishes the current message first.
    """
    exec_worker([*(["--drain"] if drain else []), *(["--quiet"] if is_quiet() else [])])


web = web_command(lambda: services().settings)

COMMANDS = (
    group_commands, lead_commands, office_commands, newsletter_commands,
    inbound_command, import_command,
    web, worker,
)  # fmt: skip


for each_command in COMMANDS:
    _wrap_command(each_command, str(each_command.name))
