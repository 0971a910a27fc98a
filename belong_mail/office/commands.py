"""The commands that end a group and restore it."""

from datetime import timedelta

import click

from belong_mail.core.db import now
from belong_mail.core.terminal import refusing
from belong_mail.groups import service as groups
from belong_mail.groups.commands import group_commands, require_group
from belong_mail.newsletters.service import InvalidState
from belong_mail.office import group_retirement
from belong_mail.web.context import transaction


@group_commands.command("retire", epilog="Example: belong group retire asian --days 30")
@click.argument("slug")
@click.option(
    "--days",
    type=click.IntRange(1, 365),
    help="End it after so many days. Until then no one can join, and its leaders can say goodbye.",
)
def retire(slug: str, days: int | None) -> None:
    """Retire the group SLUG: at once, or in some days.

    From then on it is in no list, nothing is sent to it, and what waits is withdrawn. Its leaders
    and the office are emailed. Its memberships are deleted a week after that email, or when it
    ends; until then, `group restore` brings it back.
    """
    with transaction() as session:
        group = require_group(session, slug)
        if days is None:
            group_retirement.end_now(session, group)
            said = f"{slug} is retired. Nothing more is sent to it."
        else:
            with refusing(InvalidState, words=f"{slug} already has an end."):
                group_retirement.end_on(session, group, now() + timedelta(days=days))
            said = f"{slug} ends in {days} days. No one can join it anymore."
    click.echo(said)


@group_commands.command("restore", epilog="Example: belong group restore asian")
@click.argument("slug")
def restore(slug: str) -> None:
    """Let the group SLUG, which ends or has ended, go on.

    Works until its members are deleted.
    """
    with transaction() as session:
        group = groups.find_of_any_age(session, slug)
        if group is None:
            raise click.BadParameter(f"There is no group “{slug}”.")
        with refusing(
            InvalidState, words=f"{slug} has no end, or its memberships are deleted already."
        ):
            group_retirement.restore_ended(session, group)
    click.echo(f"{slug} goes on. People can join it.")
