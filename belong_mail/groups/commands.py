"""The operator's commands about groups."""

import click
from sqlalchemy.orm import Session

from belong_mail.core.terminal import asks, refusing
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.web.context import transaction


@click.group("group")
def group_commands() -> None:
    """List, add and retire groups."""


def require_group(session: Session, slug: str) -> Group:
    """Find a group, or end the command with exit status 2."""
    group = groups.find(session, slug)
    if group is None:
        raise click.BadParameter(f"There is no group “{slug}”. See `group list`.")
    return group


@group_commands.command("list")
def list_groups() -> None:
    """List the groups, one a line."""
    with transaction() as session:
        for group in groups.listed(session):
            state = "established" if group.established_at else "upcoming"
            click.echo(f"{group.slug}\t{state}\t{group.name}")


@group_commands.command(
    "add", epilog='Example: belong group add first-gen "First Generation" --upcoming'
)
@click.argument("slug")
@click.argument("name")
@click.option("--summary", default="", help="One line for the directory.")
@click.option("--upcoming", is_flag=True, help="People cannot join it yet; see `group launch`.")
def add_group(slug: str, name: str, summary: str, *, upcoming: bool) -> None:
    """Add the group NAME with the page /groups/SLUG."""
    taken = f"“{slug}” is taken, or is not like “the-village”."
    bad = refusing(groups.InvalidSlug, words=taken, kind=click.BadParameter)
    with transaction() as session, bad:
        groups.add(session, slug, name, summary, is_upcoming=upcoming)
    click.echo(f"{name} is in the directory.")


@group_commands.command("launch", epilog="Example: belong group launch autoimmune")
@click.argument("slug")
@asks("Everyone who waits for {slug} gets an email. Open it?")
def launch_group(slug: str) -> None:
    """Open the upcoming group SLUG for members.

    The worker emails everyone who asked to be notified, once, an hour later. Until then the office
    can undo it on the group's page.
    """
    with transaction() as session:
        group = require_group(session, slug)
        with refusing(groups.AlreadyLaunched, words=f"{slug} has already started."):
            groups.launch(group)
    click.echo(f"{slug} has started. People can join. In an hour, those who asked get one email.")
