"""The `belong` command: those of `flask --app wsgi`, by their users."""

import sys
import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby

import click
from flask import Flask
from flask.cli import FlaskGroup

from belong_mail.core.db import NEWEST_REVISION
from belong_mail.core.environment import ENTRY_POINTS
from belong_mail.ops import cli


class BelongGroup(FlaskGroup):
    """Flask's group with no other commands than ours; `--help` needs no settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        _ = ctx
        return list(cli.ENTRIES)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _ = ctx
        for title, entries in groupby(cli.ENTRIES.items(), lambda each: each[1].section):
            with formatter.section(title):
                formatter.write_dl([(name, entry.words) for name, entry in entries])


def _load_app() -> Flask:
    """Load wsgi.py, which becomes the web server or the worker when one of them is asked for."""
    sys.path.insert(0, str(ENTRY_POINTS))
    app: Flask = import_module("wsgi").app  # it reads the settings, which `--help` does not need
    return app


def make_group() -> BelongGroup:
    group = BelongGroup(
        name="belong",
        help="Belong Mail: email groups that nobody sees into.",
        create_app=_load_app,
        add_default_commands=False,
        add_version_option=False,
        context_settings={"auto_envvar_prefix": None},
    )
    group.params = [each for each in group.params if each.name == "env_file"]
    for command in cli.every_command():
        group.add_command(command)
    message = f"%(prog)s, version %(version)s (schema {NEWEST_REVISION})"
    return click.version_option(_version(), prog_name="belong", message=message)(group)


def _version() -> str:
    """Return the version that is installed, or that a checkout is of."""
    try:
        return version("belong-mail")
    except PackageNotFoundError:
        project = tomllib.loads((ENTRY_POINTS / "pyproject.toml").read_text())
        return str(project["project"]["version"])


def main() -> None:
    """Be `belong`, by whatever name it was started: wsgi.py reads the arguments too."""
    sys.argv[0] = "belong"
    make_group().main(sys.argv[1:], prog_name="belong")


if __name__ == "__main__":
    main()
