"""Halting an issue from the command line."""

from collections.abc import Callable

import click
from sqlalchemy.orm import Session

from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.commands import newsletter_commands
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import transaction
from belong_mail.releases import service as releases

__all__ = ["newsletter_commands"]

Verb = Callable[[Session, Newsletter], None]


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
        newsletter = newsletters.find(session, newsletter_id)
        if newsletter is None:
            raise click.BadParameter(f"There is no newsletter «{newsletter_id}».")
        try:
            verb(session, newsletter)
        except newsletters.NotNow:
            raise click.ClickException(
                f"It is {releases.standing(session, newsletter).state}: that cannot be done now."
            ) from None
