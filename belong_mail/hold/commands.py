"""The operator's commands: whether sending is on hold, and letting it go on."""

import click

from belong_mail.current import parts, transaction
from belong_mail.hold import service as hold
from belong_mail.hold.witness import Witness


@click.group("hold")
def hold_commands() -> None:
    """Whether this host may send; a restored or cloned one may not until it is released."""


@hold_commands.command("status")
def status() -> None:
    """Say whether this host is on hold, and why; exit 1 when it is."""
    seen = _witness().seen()
    with transaction() as session:
        because = hold.why(session, seen)
        others, waiting = hold.others(session, seen), hold.waiting(session)
    if others:
        click.echo(f"Other hosts on hold: {others}.")
    if because is None:
        click.echo("Sending is not on hold.")
        return
    click.echo(f"Sending is on hold: {hold.REASONS[because]}")
    click.echo(f"{_in_words(waiting)} `hold release` lets it leave.")
    raise click.exceptions.Exit(1)


@hold_commands.command("release")
def release() -> None:
    """Let this host read, send and delete again; says what will leave."""
    with _witness().turn() as seen, transaction() as session:
        because = hold.why(session, seen)
        if because is not None:
            hold.release(session, seen)
        waiting = hold.waiting(session)
    if because is None:
        click.echo("Sending is not on hold.")
        return
    click.echo(f"Released. {_in_words(waiting)} A running worker goes on within seconds.")


@hold_commands.command("begin")
def begin() -> None:
    """Hold all hosts, such as before this machine or its database is cloned."""
    seen = _witness().seen()
    with transaction() as session:
        hold.begin(session, "asked", seen)
    click.echo("Sending is on hold, on every host that has worked on this database.")


def _witness() -> Witness:
    return Witness(parts().settings.state_folder)


def _in_words(waiting: dict[str, int]) -> str:
    words = ", ".join(f"{number} {name}" for name, number in waiting.items())
    return f"What waits: {words}." if words else "Nothing waits."
