"""The operator's commands: a message that came back, and what bounces did to memberships."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import click

from belong_mail.accounts.commands import keys_here
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.terminal import FILE, MOMENT, refusing, say
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.inbound import bounces, pipe
from belong_mail.inbound.attribution import asks_to_leave
from belong_mail.mail.address import normalise
from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.members.wrapped_fields import address_of
from belong_mail.web.context import services, transaction

RETURN_PATH_ARGUMENT = "belong.return_path"


class Inbound(click.Group):
    """A command with an optional argument, and with one command below it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.meta[RETURN_PATH_ARGUMENT] = args.pop(0)
        return super().parse_args(ctx, args)


@click.group(
    "inbound",
    cls=Inbound,
    invoke_without_command=True,
    subcommand_metavar="[RETURN_PATH] < MESSAGE | explain FILE…",
)
@click.pass_context
def inbound_command(ctx: click.Context) -> None:
    """Take in one returned message, from a mail server's pipe.

    RETURN_PATH is the address the message was sent to. If we did not sign it, the exit status is 67
    (unknown user). Without one, the message's own headers must name it. The worker reads the
    message.

    Example: belong inbound RETURN_PATH < message.eml
    """
    if ctx.invoked_subcommand is not None:
        return
    return_path = ctx.meta.get(RETURN_PATH_ARGUMENT, "").strip("<>")
    if not return_path.isprintable():
        raise click.BadParameter("A return path must be one line.")
    settings = services().settings
    message = pipe.read_message(sys.stdin.buffer)
    if pipe.is_forged(VerpAddresses(settings.secret_keys, settings.mail_domain), return_path):
        raise click.exceptions.Exit(os.EX_NOUSER)
    sealed = pipe.seal_returned(services().sealer, return_path, message)
    with refusing(pipe.InboxFull, pipe.DatabaseUnavailable):
        pipe.store(settings.database_url, sealed)


@inbound_command.command("explain")
@click.argument("files", nargs=-1, required=True, type=FILE)
def explain(files: tuple[Path, ...]) -> None:
    """Explain each of FILES in one line of JSON; store nothing."""
    settings = services().settings
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    for file in files:
        with file.open("rb") as message:
            report = parse_report(message.read(MAX_OCTETS))
        is_wish = asks_to_leave(names, "", report) is not None
        said = {
            "file": str(file),
            "kind": (Kind.UNSUBSCRIBE if is_wish else report.kind).value,
            "permanence": report.permanence,
            "suppress": report.suppress,
            "status": report.status,
            "recipients": list(report.recipients),
        }
        click.echo(json.dumps(said))


@click.group("bounce")
def bounce_commands() -> None:
    """List and restore memberships that bounces ended."""


@bounce_commands.command("status")
def status() -> None:
    """Count memberships that bounces ended, by day.

    Exits with 1 while bounces of unknown addresses are being ignored.
    """
    with transaction() as session:
        until = bounces.breaker_until(session, now())
        by_day = bounces.ended_by_day(session)
    for day, number in by_day.items():
        click.echo(f"{day}\t{number}")
    if until is None:
        click.echo("Normal: an address that bounces as unknown on two days is removed.")
        return
    click.echo(
        "Very many addresses bounced as unknown within an hour. No membership ends because of this"
        f" until {until:%Y-%m-%d %H:%M} UTC. If they really are gone, run `bounce accept`."
    )
    raise click.exceptions.Exit(1)


@bounce_commands.command("accept")
def accept() -> None:
    """End the memberships of the many unknown addresses.

    Use it when the addresses really are gone, such as after a summer. People who have received
    email since then stay members.
    """
    with transaction() as session:
        ended = bounces.override_breaker(session)
    say(f"Memberships ended: {ended}.")


@bounce_commands.command(
    "undo", epilog='Example: belong bounce undo --since "2026-11-25 08:00" --domain example.org'
)
@click.option("--since", type=MOMENT, required=True, help="Local time.")
@click.option("--until", type=MOMENT, help="Local time. Default: now.")
@click.option("--domain", help="Only addresses in this domain; needs the worker's keys.")
def undo(since: datetime, until: datetime | None, domain: str | None) -> None:
    """Restore memberships that bounces ended in a time range."""
    zone = services().settings.timezone
    until = until.replace(tzinfo=zone) if until else now()
    keyring = Keyring(*keys_here()) if domain else None
    with transaction() as session:
        lost = bounces.bounced_members(session, since.replace(tzinfo=zone), until)
        if keyring is not None and domain is not None:
            end = f"@{domain.lower()}"
            lost = [each for each in lost if normalise(address_of(keyring, each)).endswith(end)]
        bounces.restore(lost)
    say(f"Memberships restored: {len(lost)}.")
