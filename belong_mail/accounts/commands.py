"""The operator's commands about leaders, and about people who work for the office."""

import click
from sqlalchemy.orm import Session

from belong_mail.accounts import identity_tasks, invitations, people
from belong_mail.accounts.right_tasks import NAME_CHARACTERS
from belong_mail.core import i18n
from belong_mail.core.decryption import (
    DecryptionError,
    Keyring,
    worker_keys,
)
from belong_mail.core.terminal import refusing, unseen_argument
from belong_mail.groups.commands import require_group
from belong_mail.groups.models import Group
from belong_mail.mail.address import InvalidAddress, Staff, check, normalise
from belong_mail.web.context import services, transaction

# Prompted for: arguments would show in process lists, sudo's log and the shell's history.
address_argument = unseen_argument("address", "Email address")
GROUP_HELP = "The group's slug, as `group list` shows it."
CHANGED = (
    "Someone without the keys changed this address's account in the database, or the keys here are"
    " not the worker's. Nothing was done. See “A break-in to the web” in docs/threats.md."
)


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse addresses and control characters, as names are stored unencrypted."""
    if "@" in name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise click.BadParameter(
            f"Give a name of at most {NAME_CHARACTERS} characters, no address."
        )
    return name.strip()


language_option = click.option(
    "--language", type=click.Choice(list(i18n.NAMES)), help="Language of our emails to this person."
)
name_option = click.option(
    "--name",
    default="",
    callback=_checked_name,
    help="What colleagues call this person. Else it's asked for at the first sign-in.",
)


@click.group("lead")
def lead_commands() -> None:
    """Invite, remove and count group leaders."""


@lead_commands.command("invite", epilog="Example: belong lead invite --group asian --language es")
@address_argument
@click.option("--group", "slug", required=True, help=GROUP_HELP)
@language_option
@name_option
def invite_lead(address: str, slug: str, language: str | None, name: str) -> None:
    """Invite ADDRESS, a work address, to lead a group.

    The invitation works for 7 days. Run the command again to send a new one. Without ADDRESS, it
    asks for one, so that no log of this machine has it.
    """
    with transaction() as session:
        group = require_group(session, slug)
        _invite(session, group, address, language, name)


@lead_commands.command("remove", epilog="Example: belong lead remove --group asian")
@address_argument
@click.option("--group", "slug", required=True, help=GROUP_HELP)
def remove_lead(address: str, slug: str) -> None:
    """Remove ADDRESS from the leaders of a group.

    Without ADDRESS, it asks for one, so that no log of this machine has it.
    """
    index = keys_here().index
    with transaction() as session:
        group = require_group(session, slug)
        if not invitations.remove(session, index, group, address):
            raise click.ClickException(f"This address does not lead {_in_sentence(group)}.")
    click.echo(f"Removed from the leaders of {_in_sentence(group)}.")


@lead_commands.command("list")
def list_leads() -> None:
    """Count the leaders and open invitations of each group.

    Prints one group a line, and no addresses.
    """
    with transaction() as session:
        for group, team in people.list_teams(session).items():
            invited = sum(each.is_pending and not each.has_stopped for each in team)
            waiting = f"\t{invited} invited" if invited else ""
            click.echo(f"{group.slug}\t{sum(each.counts for each in team)}{waiting}")


@lead_commands.command("unlink")
@address_argument
def unlink(address: str) -> None:
    """Switch ADDRESS back to emailed links.

    For someone who lost their passkey or their district account: forgets both, and ends all their
    sessions. They, the office and the other leaders of their groups get an email. Works for the
    office's people too. Without ADDRESS, it asks for one, so that no log of this machine has it.
    """
    keyring, inbox = keys_here(), services().settings.contact_inbox
    with transaction() as session:
        with refusing(DecryptionError, words=CHANGED):
            account = invitations.find_account(session, keyring.index, address)
            is_let_in = account is not None and identity_tasks.let_in(
                session, keyring, inbox, account
            )
        if not is_let_in:
            raise click.ClickException(
                "This address signs in with no passkey and no district account."
            )
    click.echo("This address is back to emailed links. All its sessions have ended.")


@click.group("office")
def office_commands() -> None:
    """Invite and remove people who work for the office."""


@office_commands.command("invite", epilog="Example: belong office invite --language es")
@address_argument
@language_option
@name_option
def invite_office(address: str, language: str | None, name: str) -> None:
    """Invite ADDRESS, a work address, to work for the office.

    They accept from that mailbox, within 7 days. Then they have the pages of the office, and can
    invite leaders and colleagues there. Without ADDRESS, it asks for one, so that no log of this
    machine has it.
    """
    with transaction() as session:
        _invite(session, None, address, language, name)


@office_commands.command("remove")
@address_argument
def remove_office(address: str) -> None:
    """Remove ADDRESS from the people who work for the office.

    Without ADDRESS, it asks for one, so that no log of this machine has it.
    """
    index = keys_here().index
    with transaction() as session:
        if not invitations.remove(session, index, None, address):
            raise click.ClickException("This address does not work for the office.")
    click.echo("This address no longer works for the office.")


def _invite(
    session: Session, group: Group | None, address: str, language: str | None, name: str
) -> None:
    """Invite someone to lead a group or, without one, to work for the office."""
    _refuse_strangers(address)
    keyring = keys_here()
    with refusing(DecryptionError, words=CHANGED):
        is_asked = invitations.ask(session, keyring, group, address, language, name)
    if is_asked:
        what = f"lead {_in_sentence(group)}" if group else "work for the office"
        click.echo(f"Invited to {what}. The invitation works for 7 days.")
    else:
        what = f"leads {_in_sentence(group)}" if group else "works for the office"
        click.echo(f"This address already {what}.")


def _refuse_strangers(address: str) -> None:
    """Refuse addresses that are not staff; development also accepts the sample domain."""
    settings = services().settings
    domains = settings.allowed_domains
    if settings.is_development:
        domains += (settings.mail_domain,)
    with refusing(InvalidAddress, words="This is not an email address.", kind=click.BadParameter):
        checked = check(address)
    if not Staff(domains, settings.refused_local_parts).admits(normalise(checked)):
        raise click.BadParameter(f"This is not a work address: it must end in @{domains[0]}.")


def _in_sentence(group: Group) -> str:
    return i18n.group_in_sentence(group.name, i18n.DEFAULT)


def keys_here() -> Keyring:
    settings = services().settings
    return worker_keys(settings.private_keys, settings.index_keys)
