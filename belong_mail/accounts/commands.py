"""The office's commands: who leads a group, and who answers for the office."""

import click

from belong_mail import languages
from belong_mail.accounts import inviting
from belong_mail.accounts import service as accounts
from belong_mail.current import parts, transaction
from belong_mail.groups import service as groups
from belong_mail.groups.commands import named
from belong_mail.mail.address import AddressRefused
from belong_mail.opening import BlindIndex, KeysMissing, Opener, worker_keys


@click.group("lead")
def lead_commands() -> None:
    """Invite, remove and count leads."""


@lead_commands.command("invite")
@click.argument("address")
@click.option("--group", "slug", required=True)
@click.option("--language", type=click.Choice(list(languages.NAMES)), help="Of our mails to them.")
def invite_lead(address: str, slug: str, language: str | None) -> None:
    """Let ADDRESS lead a group."""
    opener, index = keys_here()
    with transaction() as session:
        group = named(session, slug)
        try:
            inviting.invite(session, opener, index, group, address, language)
        except AddressRefused as error:
            raise click.BadParameter("This is not an email address.") from error
    click.echo(f"One more lead may write for {group.name}.")


@lead_commands.command("remove")
@click.argument("address")
@click.option("--group", "slug", required=True)
def remove_lead(address: str, slug: str) -> None:
    """Take the right to lead a group from ADDRESS."""
    _opener, index = keys_here()
    with transaction() as session:
        group = named(session, slug)
        if not inviting.remove(session, index, group, address):
            raise click.ClickException(f"This address does not lead {group.name}.")
    click.echo(f"One lead fewer may write for {group.name}.")


@lead_commands.command("list")
def list_leads() -> None:
    """List how many leads each group has, one a line; addresses are not shown."""
    with transaction() as session:
        for group in groups.shown(session):
            click.echo(f"{group.slug}\t{len(accounts.leads_of(session, group))}")


@click.group("office")
def office_commands() -> None:
    """Invite and remove who answers messages to the office."""


@office_commands.command("invite")
@click.argument("address")
def invite_office(address: str) -> None:
    """Let ADDRESS answer people who wrote to the office and have a receipt code."""
    opener, index = keys_here()
    with transaction() as session:
        try:
            inviting.invite_office(session, opener, index, address)
        except AddressRefused as error:
            raise click.BadParameter("This is not an email address.") from error
    click.echo("One more person may answer for the office.")


@office_commands.command("remove")
@click.argument("address")
def remove_office(address: str) -> None:
    """Take the right to answer for the office from ADDRESS."""
    _opener, index = keys_here()
    with transaction() as session:
        if not inviting.remove_office(session, index, address):
            raise click.ClickException("This address does not answer for the office.")
    click.echo("One person fewer may answer for the office.")


def keys_here() -> tuple[Opener, BlindIndex]:
    settings = parts().settings
    try:
        return worker_keys(settings.private_keys, settings.index_keys)
    except KeysMissing as error:
        raise click.ClickException(KeysMissing.__doc__ or "") from error
