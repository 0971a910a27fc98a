"""What a command says beside its result: sentences, a bar, a question; none with --quiet."""

import sys
from typing import Any, TextIO

import click
from click._termui_impl import ProgressBar

# In the context of a command, when it was asked to say no more than its result.
QUIET = "belong.quiet"


def quiet_option() -> click.Option:
    """Make the option that every command has."""
    return click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_remember,
        help="Print the result alone, for scripts.",
    )


def _remember(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        context.meta[QUIET] = True


def is_quiet() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def say(words: str) -> None:
    """Tell what was done, or what comes next; a result that scripts read is not said by this."""
    if not is_quiet():
        click.echo(words)


def confirm(question: str, *, is_sure: bool) -> None:
    """Ask before what cannot be undone, where a person sits; a script has asked by itself."""
    if not is_sure and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


def progress(length: int, label: str, file: TextIO | None = None) -> ProgressBar[Any]:
    """Show on the terminal how far long work is; elsewhere, and with --quiet, nothing."""
    shown: TextIO = sys.stderr if file is None else file
    is_hidden = is_quiet() or not shown.isatty()
    return click.progressbar(length=length, label=label, file=shown, hidden=is_hidden)
