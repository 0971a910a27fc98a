"""The operator's commands: what came back, what follows from it, and what has not arrived."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import click

from belong_mail.accounts.commands import keys_here
from belong_mail.contact import service as contact
from belong_mail.current import parts, transaction
from belong_mail.db import now
from belong_mail.mail.address import normalise
from belong_mail.reports.reading import MOST, read
from belong_mail.returns import service as returns
from belong_mail.sending.names import Names
from belong_mail.subscriptions.receiving import Keyring

RETURN_PATH = "belong.return_path"


class Inbound(click.Group):
    """A command with an optional argument, and with one command below it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.meta[RETURN_PATH] = args.pop(0)
        return super().parse_args(ctx, args)


@click.group(
    "inbound",
    cls=Inbound,
    invoke_without_command=True,
    subcommand_metavar="[RETURN_PATH] < MESSAGE | explain FILE…",
)
@click.pass_context
def inbound_command(ctx: click.Context) -> None:
    """Take one message that came back, from a mail server's pipe; the worker reads it.

    RETURN_PATH is the address that it was sent to; one that we did not sign is an unknown user's
    (exit status 67). Without it the message's own headers must tell.
    """
    if ctx.invoked_subcommand is not None:
        return
    return_path = ctx.meta.get(RETURN_PATH, "").strip("<>")
    if not return_path.isprintable():
        raise click.BadParameter("A return path is one line.")
    message = sys.stdin.buffer.read(MOST)
    while sys.stdin.buffer.read(MOST):
        """The server's pipe must not break, or it tries for ever."""
    if _is_nobodys(return_path):
        raise click.exceptions.Exit(os.EX_NOUSER)
    try:
        with transaction() as session:
            returns.take(session, parts().sealer, return_path, message)
    except returns.TooMany as error:
        raise click.ClickException("Too many messages wait. Does the worker run?") from error


def _is_nobodys(return_path: str) -> bool:
    names = Names(parts().settings.secret_keys, parts().settings.mail_domain)
    return names.has_form(return_path) and names.read(return_path) is None


@inbound_command.command("explain")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def explain(files: tuple[Path, ...]) -> None:
    """Say of each of FILES what it is, as one line of JSON; nothing is kept."""
    for file in files:
        with file.open("rb") as message:
            report = read(message.read(MOST))
        said = {
            "file": str(file),
            "kind": report.kind.value,
            "permanence": report.permanence,
            "suppress": report.suppress,
            "status": report.status,
            "recipients": list(report.recipients),
        }
        click.echo(json.dumps(said))


@click.group("bounce")
def bounce_commands() -> None:
    """Memberships that ended because mail came back."""


@bounce_commands.command("status")
def status() -> None:
    """Count them by day, and say whether unknown addresses are believed."""
    with transaction() as session:
        until = returns.doubted_until(session, now())
        by_day = returns.ended_by_day(session)
    for day, number in by_day.items():
        click.echo(f"{day}\t{number}")
    if until is None:
        click.echo("Nothing unusual: who is unknown on two days is a member no more.")
        return
    click.echo(
        "Very many addresses were said not to exist, within an hour. No membership ends because of"
        f" it until {until:%Y-%m-%d %H:%M} UTC. If they do not exist, run `bounce accept`."
    )
    raise click.exceptions.Exit(1)


@bounce_commands.command("accept")
def accept() -> None:
    """Believe that the many addresses do not exist, and end memberships as usual."""
    with transaction() as session:
        ended = returns.accept(session)
    click.echo(f"{ended} memberships have ended.")


@bounce_commands.command("undo")
@click.option("--since", type=click.DateTime(), required=True, help="Local time.")
@click.option("--until", type=click.DateTime(), help="Local time; else now.")
@click.option("--domain", help="Only addresses of this domain; needs the worker's keys.")
def undo(since: datetime, until: datetime | None, domain: str | None) -> None:
    """Let memberships go on that ended within a time because mail came back."""
    zone = parts().settings.timezone
    until = until.replace(tzinfo=zone) if until else now()
    keyring = Keyring(*keys_here()) if domain else None
    with transaction() as session:
        lost = returns.lost(session, since.replace(tzinfo=zone), until)
        if keyring is not None and domain is not None:
            end = f"@{domain.lower()}"
            lost = [each for each in lost if normalise(keyring.address(each)).endswith(end)]
        returns.regain(lost)
    click.echo(f"{len(lost)} memberships go on.")


@click.group("contact")
def contact_commands() -> None:
    """Messages to the office and to leads that have not arrived."""


@contact_commands.command("undelivered")
def list_undelivered() -> None:
    """List their references, one a line, and why; exit 1 when there are any."""
    with transaction() as session:
        waiting = contact.undelivered(session)
        for reference, delivery in waiting.items():
            said = (delivery.code, delivery.enhanced, delivery.phrase)
            why = " ".join(str(each) for each in said if each)
            click.echo(f"{reference}\t{delivery.state}\t{why}")
    if waiting:
        raise click.exceptions.Exit(1)
    click.echo("Every message has arrived, or is on its way.")


@contact_commands.command("resend")
def resend() -> None:
    """Send them once more, each to the inbox that is set by then, or to the leads' mailbox."""
    with transaction() as session:
        number = contact.resend(session)
    click.echo(f"{number} messages leave again.")
