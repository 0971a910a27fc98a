"""The operator's command that imports a list of members."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from belong_mail.core import i18n
from belong_mail.core.terminal import FILE, refusing
from belong_mail.groups.commands import require_group
from belong_mail.groups.models import Group
from belong_mail.members import imports
from belong_mail.members.address_list import (
    MAX_FILE_OCTETS,
    AddressList,
    UnusableFile,
    read_addresses,
)
from belong_mail.members.imports import announcement
from belong_mail.web.context import services, transaction


@click.command(
    "import", epilog="Example: belong import responses.csv --group the-village --dry-run"
)
@click.argument("file", type=FILE)
@click.option("--group", "slug", required=True, help="The group's slug; see `group list`.")
@click.option("--dry-run", is_flag=True, help="Only say what is in the file; ask no one.")
def import_command(file: Path, slug: str, *, dry_run: bool) -> None:
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
        click.echo("\n".join(report_lines(found.report())))
        if dry_run:
            click.echo("No one was asked: this was a dry run.")
        elif found.addresses:
            _start(session, group, found)
            click.echo("The worker asks them, a few at a time.")
        sender = f"belong@{services().settings.mail_domain}"
        texts = [announcement(group, services().links, sender, code) for code in i18n.NAMES]
    click.echo("\nSend this to the old list first:")
    for lines in texts:
        click.echo("\n" + "\n\n".join(lines))


def _read(file: Path) -> AddressList:
    """Read the addresses of a file, or end the command."""
    with file.open("rb") as source:
        content = source.read(MAX_FILE_OCTETS + 1)
    with refusing(UnusableFile):
        return read_addresses(content, services().settings.staff)


def _start(session: Session, group: Group, found: AddressList) -> None:
    with refusing(imports.AlreadyWaiting, words="Another file waits already. No one was asked."):
        made = imports.store(session, services().sealer, group, found, i18n.DEFAULT)
    imports.start(session, made)


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Say what is in a file: how many, and in which rows."""
    return [
        f"Addresses are in column {report['column']}.",
        f"To be asked: {report['addresses']}. Members aren’t asked, and aren’t told apart here.",
        f"Rows with an address of an earlier row: {report['duplicates']}.",
        _rows("Rows with an address that is not staff", report, "not_staff"),
        _rows("Rows that cannot be read", report, "unreadable"),
    ]


def _rows(words: str, report: Mapping[str, Any], what: str) -> str:
    number, rows = report[what], report[f"{what}_rows"]
    named = ", ".join(map(str, rows))
    more = f" and {number - len(rows)} more" if number > len(rows) else ""
    return f"{words}: {number}{f' ({named}{more})' if rows else ''}."
