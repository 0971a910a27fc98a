"""The commands `belong` and `flask --app wsgi`: a table from which each is imported when used."""

import sys
from collections.abc import Callable
from functools import cache, wraps
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

import click

from belong_mail.core.environment import ENTRY_POINTS, NEWEST_REVISION

if TYPE_CHECKING:  # the list of commands needs no Flask
    from flask import Flask


# Module and function of each command, below `belong_mail`, and the first line of its help.
SECTIONS: Final = {
    "For the office": {
        "group": ("office.commands:group_commands", "List, add and retire groups."),
        "lead": ("accounts.commands:lead_commands", "Invite, remove and count group leaders."),
        "office": (
            "accounts.commands:office_commands",
            "Invite and remove people who work for the office.",
        ),
        "newsletter": (
            "newsletters.commands:newsletter_commands",
            "Send newsletters, control them and read their reports.",
        ),
        "import": (
            "members.commands:import_command",
            "Ask the people of a list if they want to join a group.",
        ),
    },
    "To run the site": {
        "setup": (
            "ops.setup_command:setup_command",
            "Write the settings and keys of this machine.",
        ),
        "upgrade": (
            "ops.upgrade_command:upgrade_command",
            "Upgrade this machine to the newest version.",
        ),
        "web": ("ops.launcher:web", "Run the production web server."),
        "worker": ("ops.launcher:worker", "Read requests and send email."),
        "inbound": (
            "inbound.commands:inbound_command",
            "Take in one returned message, from a mail server's pipe.",
        ),
        "db": (
            "ops.commands:database_commands",
            "Upgrade, check, back up and restore the database.",
        ),
        "keys": ("ops.commands:key_commands", "Make new keys, and replace old ones."),
        "hold": ("ops.commands:hold_commands", "Hold sending, or release the hold."),
    },
    "To look after the site": {
        "doctor": ("monitoring.commands:doctor_command", "Check everything and say what to do."),
        "status": (
            "monitoring.commands:status_command",
            "Report what has been stuck too long, for cron.",
        ),
        "explain": ("ops.explain:explain_command", "Say why an address got no email."),
        "outbox": ("ops.commands:outbox_commands", "Retry email that is waiting."),
        "purge": ("ops.commands:purge_command", "Delete what is past its retention time, now."),
    },
    "In development": {
        "demo": ("ops.commands:demo", "Add made-up members to a group, in development."),
    },
}
ENTRIES: Final = {name: each for named in SECTIONS.values() for name, each in named.items()}
# Not listed, as only `dev.py run` calls it.
HIDDEN: Final = {"prepare": ("ops.commands:prepare", "Set up a development site with sample data.")}
# Commands that run before there are settings, with another version's, or that read them anew.
WITHOUT_SETTINGS: Final = ("setup", "upgrade", "worker")

# Commands that begin only with keys that open the database's rows.
WITH_RIGHT_KEYS: Final = (
    "db move", "demo", "explain", "import", "keys rotate", "lead invite",
    "lead remove", "lead unlink", "newsletter cancel", "newsletter pause", "newsletter release",
    "newsletter resume", "newsletter send", "newsletter stop", "office invite", "office remove",
)  # fmt: skip


class LazyCommand(click.Command):
    """A placeholder for a command that is imported when it runs."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        return load(self.name or "").make_context(*arguments, **options)


@cache
def load(name: str) -> click.Command:
    """Import a command; one that needs no settings gets no app."""
    command: click.Command = resolve_name(f"belong_mail.{(ENTRIES | HIDDEN)[name][0]}")
    if name in WITHOUT_SETTINGS:
        _explain(command, name)
    else:
        _wrap_command(command, name)
    return command


def register(group: click.Group) -> None:
    """Add a placeholder for each command."""
    for name, (_place, words) in ENTRIES.items():
        group.add_command(LazyCommand(name, help=words))
    for name in HIDDEN:
        group.add_command(LazyCommand(name, hidden=True))


def _wrap_command(command: click.Command, name: str) -> None:
    """Give a command the app, an example, and error messages instead of tracebacks."""
    from flask.cli import with_appcontext  # noqa: PLC0415 - only a command that runs needs Flask

    if isinstance(command, click.Group):
        for each in command.commands.values():
            _wrap_command(each, f"{name} {each.name}")
    _explain(command, name)
    if command.callback is not None:
        if name in WITH_RIGHT_KEYS:
            command.callback = _with_right_keys(command.callback)
        command.callback = with_appcontext(_with_error_message(command.callback))


def _explain(command: click.Command, name: str) -> None:
    if command.epilog is None and not isinstance(command, click.Group):
        command.epilog = f"Example: belong {name}"


def _with_right_keys(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def called(*args: Any, **kwargs: Any) -> Any:
        from belong_mail.ops.key_check import require_keys  # noqa: PLC0415 - it loads the database
        from belong_mail.web.context import services  # noqa: PLC0415 - as above

        with services().engine.connect() as connection:
            require_keys(connection, services().settings)
        return callback(*args, **kwargs)

    return called


def _with_error_message(callback: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(callback)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless there is a sentence about it
            from belong_mail.ops import user_errors  # noqa: PLC0415 - it loads the database

            raise click.ClickException(user_errors.error_message(error)) from None

    return called


class BelongGroup(click.Group):
    """Lists the commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _ = ctx
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_place, words) in entries.items()])


def _load_app() -> "Flask":
    sys.path.insert(0, str(ENTRY_POINTS))
    from wsgi import create_app  # noqa: PLC0415 - it reads the settings, which `--help` does not need

    return create_app()


@click.group(cls=BelongGroup)
@click.version_option(
    package_name="belong-mail",
    message=f"%(prog)s, version %(version)s (schema {NEWEST_REVISION})",
)
@click.pass_context
def belong(context: click.Context) -> None:
    """Belong Mail: email groups that nobody sees into."""
    from flask.cli import ScriptInfo, load_dotenv  # noqa: PLC0415 - `--help` does not come here

    context.obj = info = ScriptInfo(create_app=_load_app)
    load_dotenv(load_defaults=info.load_dotenv_defaults)


register(belong)


def main() -> None:
    """Run as `belong`, whatever the file is called."""
    belong.main(prog_name="belong")


if __name__ == "__main__":
    main()
