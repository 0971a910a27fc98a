"""The office's commands about an issue: let it go, take it back, halt it."""

from collections.abc import Callable

import click
from sqlalchemy.orm import Session

from belong_mail.current import transaction
from belong_mail.db import now
from belong_mail.newsletters.commands import named, newsletter_commands
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import NotNow
from belong_mail.releases import service as releases

__all__ = ["newsletter_commands"]

Verb = Callable[[Session, Newsletter], None]


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


@newsletter_commands.command("pause")
@click.argument("newsletter_id", metavar="ID")
def pause(newsletter_id: str) -> None:
    """Send nothing more of an issue until it is resumed."""
    _act(newsletter_id, releases.pause)
    click.echo("Paused. Nothing more of it is sent until `newsletter resume`.")


@newsletter_commands.command("resume")
@click.argument("newsletter_id", metavar="ID")
def resume(newsletter_id: str) -> None:
    """Go on with a paused issue; nobody gets it again."""
    _act(newsletter_id, releases.resume)
    click.echo("It goes on.")


@newsletter_commands.command("stop")
@click.argument("newsletter_id", metavar="ID")
def stop(newsletter_id: str) -> None:
    """Stop an issue for good: what has not left is not sent."""
    _act(newsletter_id, releases.stop)
    click.echo("Stopped. What had not left is withdrawn.")


def _act(newsletter_id: str, verb: Verb) -> None:
    with transaction() as session:
        newsletter = named(session, newsletter_id)
        try:
            verb(session, newsletter)
        except NotNow:
            raise click.ClickException(
                f"It is {releases.standing(session, newsletter).state}: that cannot be done now."
            ) from None
