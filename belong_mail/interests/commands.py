"""One more of the office's commands about groups: how many wait for one, in words."""

import click

from belong_mail.current import transaction
from belong_mail.groups.commands import group_commands, named
from belong_mail.interests import service

__all__ = ["group_commands"]


@group_commands.command("interest")
@click.argument("slug")
def interest(slug: str) -> None:
    """Say in words how many wait for the upcoming group SLUG."""
    with transaction() as session:
        warmth = service.warmth(session, named(session, slug))
    click.echo(warmth.value)
