"""Made-up people, for development alone."""

import click

from belong_mail import sample, schema
from belong_mail.accounts.commands import keys_here
from belong_mail.current import parts, transaction
from belong_mail.groups import service as groups
from belong_mail.groups.commands import named
from belong_mail.subscriptions.receiving import Keyring


@click.command()
@click.option("--group", "slug", required=True)
@click.option("--members", type=click.IntRange(1, 1_000_000), required=True)
def demo(slug: str, members: int) -> None:
    """Add made-up confirmed members at example.org to a group."""
    _only_in_development()
    keyring = Keyring(*keys_here())
    with transaction() as session:
        sample.add_members(session, keyring, named(session, slug), members)
    click.echo(f"{slug} has {members} more made-up members.")


@click.command()
def prepare() -> None:
    """Make a development instance ready: schema, groups and the sample."""
    _only_in_development()
    schema.upgrade(parts().engine)
    keyring = Keyring(*keys_here())
    with transaction() as session:
        groups.seed(session)
        sample.fill(session, keyring)
    click.echo(sample.way_in(parts().settings.base_url))


def _only_in_development() -> None:
    if not parts().settings.is_development:
        raise click.ClickException("Made-up people are for development only.")


COMMANDS = {"demo": demo, "prepare": prepare}
