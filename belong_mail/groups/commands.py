"""The office's commands: groups."""

import click
from sqlalchemy.orm import Session

from belong_mail.current import transaction
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group


@click.group("group")
def group_commands() -> None:
    """List, add and retire groups."""


def named(session: Session, slug: str) -> Group:
    """Find a group, or end the command with exit code 2."""
    group = groups.find(session, slug)
    if group is None:
        raise click.BadParameter(f"There is no group «{slug}».")
    return group


@group_commands.command("list")
def list_groups() -> None:
    """List the groups, one a line."""
    with transaction() as session:
        for group in groups.shown(session):
            state = "established" if group.established_at else "upcoming"
            click.echo(f"{group.slug}\t{state}\t{group.name}")


@group_commands.command("add")
@click.argument("slug")
@click.argument("name")
@click.option("--summary", default="", help="One line for the directory.")
@click.option("--upcoming", is_flag=True)
def add_group(slug: str, name: str, summary: str, *, upcoming: bool) -> None:
    """Add the group NAME under the address /groups/SLUG."""
    with transaction() as session:
        try:
            groups.add(session, slug, name, summary, is_upcoming=upcoming)
        except groups.SlugRefused as error:
            raise click.BadParameter(f"«{slug}» is taken, or not like “the-village”.") from error
    click.echo(f"{name} is in the directory.")


@group_commands.command("launch")
@click.argument("slug")
def launch_group(slug: str) -> None:
    """Let the upcoming group SLUG start; the worker tells those who asked to be told."""
    with transaction() as session:
        group = named(session, slug)
        try:
            groups.launch(group)
        except groups.HasStarted as error:
            raise click.ClickException(f"{slug} has started already.") from error
    click.echo(f"{slug} has started. People can join; who asked to be told gets one mail.")


@group_commands.command("retire")
@click.argument("slug")
def retire_group(slug: str) -> None:
    """Take the group SLUG out of the directory."""
    with transaction() as session:
        groups.retire(session, named(session, slug))
    click.echo(f"{slug} is retired.")
