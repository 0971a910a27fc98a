"""The operator's commands: bounces, a list that moves in, and how many wait for a group."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy.orm import Session

from belong_mail.accounts.commands import keys_here
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.terminal import FILE, MOMENT, refusing, say
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.groups.commands import group_commands, require_group
from belong_mail.groups.models import Group
from belong_mail.mail.address import Staff, normalise
from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.members import bounces, imports, inbound
from belong_mail.members import service as members
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    AddressList,
    UnusableFile,
    read_addresses,
)
from belong_mail.members.attribution import asks_to_leave
from belong_mail.members.imports import Report, announcement
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
    message = inbound.read_message(sys.stdin.buffer)
    if inbound.is_forged(VerpAddresses(settings.secret_keys, settings.mail_domain), return_path):
        raise click.exceptions.Exit(os.EX_NOUSER)
    sealed = inbound.seal_returned(services().sealer, return_path, message)
    with refusing(inbound.InboxFull, inbound.DatabaseUnavailable):
        inbound.store(settings.database_url, sealed)


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


@group_commands.command("interest")
@click.argument("slug")
def entry(slug: str) -> None:
    """Say roughly how many people wait for the group SLUG."""
    with transaction() as session:
        warmth = members.interest_level(session, require_group(session, slug))
    click.echo(warmth.value)


@click.command(
    "import", epilog="Example: belong import responses.csv --group the-village --dry-run"
)
@click.argument("file", type=FILE)
@click.option("--group", "slug", required=True, help="The group's slug; see `group list`.")
@click.option(
    "--language",
    type=click.Choice(tuple(i18n.NAMES)),
    default=i18n.DEFAULT,
    show_default=True,
    help="Of the emails.",
)
@click.option("--dry-run", is_flag=True, help="Only say what is in the file; ask no one.")
def import_command(file: Path, slug: str, language: str, *, dry_run: bool) -> None:
    """Ask the people of a list if they want to join a group.

    FILE is a CSV file: a Google Form's responses, or a Google Group's members. The worker asks each
    person once by email, reminds them once, and after 72 hours deletes who has not joined. Nothing
    but addresses is read, and none is printed.
    """
    found = _read(file)
    with transaction() as session:
        group = require_group(session, slug)
        if not group.is_open:
            raise click.ClickException(f"No one can join {slug} now. No one was asked.")
        click.echo("\n".join(report_lines(Report.of(found))))
        if dry_run:
            say("No one was asked: this was a dry run.")
        elif found.addresses:
            _start(session, group, found, language)
            say("The worker asks them, a few at a time.")
        sender = f"belong@{services().settings.mail_domain}"
        texts = [announcement(group, services().links, sender, code) for code in i18n.NAMES]
    click.echo("\nSend this to the old list first:")
    for lines in texts:
        click.echo("\n" + "\n\n".join(lines))


def _read(file: Path) -> AddressList:
    """Read the addresses of a file, or end the command."""
    settings = services().settings
    with file.open("rb") as source:
        content = source.read(MAX_FILE_OCTETS + 1)
    with refusing(UnusableFile):
        return read_addresses(
            content, Staff(settings.allowed_domains, settings.refused_local_parts)
        )


def _start(session: Session, group: Group, found: AddressList, language: str) -> None:
    with refusing(imports.AlreadyWaiting, words="Another file waits already. No one was asked."):
        made = imports.store(session, services().sealer, group, found, language)
    imports.start(session, made)


def report_lines(report: Report) -> list[str]:
    """Say what is in a file: how many, and in which rows."""
    place = f"Addresses are in column {report.column}. Rows of headings: {report.heading_rows}."
    others = [
        f"Column {column} holds addresses too; they aren’t asked."
        for column in report.other_columns
    ]
    return [
        f"{place} Empty rows: {report.empty_rows}.",
        *others,
        f"To be asked: {report.addresses}. Members aren’t asked, and aren’t told apart here.",
        f"Rows with an address of an earlier row: {report.duplicates}.",
        _rows("Rows with an address that is not staff", report.not_staff, report.not_staff_rows),
        _rows("Rows that cannot be read", report.unreadable, report.unreadable_rows),
    ]


def _rows(words: str, number: int, rows: list[int]) -> str:
    named = ", ".join(map(str, rows))
    more = f" and {number - len(rows)} more" if number > len(rows) else ""
    return f"{words}: {number}{f' ({named}{more})' if rows else ''}."
