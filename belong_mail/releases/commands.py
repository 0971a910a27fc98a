"""The office's commands about an issue that waits: let it go, or take it back."""

import click

from belong_mail.db import now
from belong_mail.newsletters.commands import named, newsletter_commands
from belong_mail.newsletters.service import NotNow
from belong_mail.parts import transaction
from belong_mail.releases import service as releases

__all__ = ["newsletter_commands"]


@newsletter_commands.command("release")
@click.argument("newsletter_id", metavar="ID")
def release(newsletter_id: str) -> None:
    """Send a held issue after all, at once."""
    with transaction() as session:
        newsletter = named(session, newsletter_id)
        if newsletter.held_at is None:
            raise click.ClickException("This issue is not held.")
        releases.release(session, newsletter, now())
    click.echo("The worker sends it now.")


@newsletter_commands.command("cancel")
@click.argument("newsletter_id", metavar="ID")
def cancel(newsletter_id: str) -> None:
    """Take a held or scheduled issue back to the drafts."""
    with transaction() as session:
        newsletter = named(session, newsletter_id)
        try:
            releases.undo(session, newsletter)
        except NotNow as error:
            raise click.ClickException("This issue is on its way already, or out.") from error
    click.echo("It is a draft again; nobody gets it.")
