"""List and resend messages to the office and to group leaders that were not delivered."""

import click

from belong_mail.contact import service as contact
from belong_mail.core.terminal import say
from belong_mail.web.context import transaction


@click.group("contact")
def contact_commands() -> None:
    """List and resend messages that were not delivered."""


@contact_commands.command("undelivered")
def list_undelivered() -> None:
    """List undelivered messages, by reference, and why.

    These are messages to the office or to group leaders. Exits with 1 if there are any.
    """
    with transaction() as session:
        waiting = contact.undelivered(session)
        for message, delivery in waiting:
            said = (delivery.code, delivery.enhanced, delivery.phrase)
            why = " ".join(str(each) for each in said if each)
            click.echo(f"{message.reference}\t{delivery.state}\t{why}")
    if waiting:
        raise click.exceptions.Exit(1)
    click.echo("Every message was delivered, or is being sent.")


@contact_commands.command("resend")
def resend() -> None:
    """Send undelivered messages again.

    Each goes to the inbox that is set now: the office's, or the group's shared inbox.
    """
    with transaction() as session:
        number = contact.resend(session)
    say(f"Messages being sent again: {number}.")
