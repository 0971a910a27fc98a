"""Read arguments, show progress, ask before what cannot be undone, and say errors in sentences."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

# Parameter types: files to read.
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
# A local date, or a date and time, with or without seconds.
TIMES = (f"{between}%H:%M{end}" for between in " T" for end in ("", ":%S"))
MOMENT = click.DateTime(["%Y-%m-%d", *(f"%Y-%m-%d{time}" for time in TIMES)])


def unseen_argument(name: str, label: str) -> Callable[[Any], Any]:
    """Declare an argument that is prompted for or piped in, to keep it out of histories."""

    def ask(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
        if not value and sys.stdin.isatty():
            value = click.prompt(label, err=True)
        value = (value or sys.stdin.readline()).strip()
        if not value:
            raise click.UsageError(f"{name.upper()} is missing.", context)
        return value

    return click.argument(name, required=False, callback=ask)


def asks(question: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Ask a person at the terminal, unless --yes, before a step that cannot be undone.

    The question may contain `{argument}`.
    """

    def decorate(callback: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--yes", "is_sure", is_flag=True, help="Do not ask first.")
        @wraps(callback)
        def asking(*args: Any, is_sure: bool, **kwargs: Any) -> Any:
            if not is_sure and sys.stdin.isatty():
                click.confirm(question.format(**kwargs), abort=True, err=True)
            return callback(*args, **kwargs)

        return asking

    return decorate


@contextmanager
def refusing(
    *errors: type[Exception],
    words: str = "",
    kind: type[click.ClickException] = click.ClickException,
) -> Iterator[None]:
    """Turn these errors into a failure of the command, with the given words or the error's own."""
    try:
        yield
    except errors as error:
        raise kind(words or str(error)) from error


@contextmanager
def working(label: str) -> Iterator[None]:
    """Show a bar while a block runs, which is full at its end."""
    with progress(1, label) as bar:
        yield
        bar.update(1)


def progress(length: int, label: str) -> AbstractContextManager[Any]:
    """Return a progress bar, which is shown only on a terminal."""
    is_hidden = not sys.stderr.isatty()
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=is_hidden)
