"""The operator's commands about the database."""

from pathlib import Path

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail import schema
from belong_mail.groups import service as groups
from belong_mail.hold import service as hold
from belong_mail.hold.witness import Witness
from belong_mail.operating import copies
from belong_mail.parts import parts, transaction
from belong_mail.sending.claims import are_working


@click.group("db")
def database_commands() -> None:
    """The database: its schema, and copies of it."""


def engine() -> Engine:
    bound = parts().writing.kw["bind"]
    assert isinstance(bound, Engine)  # noqa: S101 - create_app binds it
    return bound


@database_commands.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to date; an empty database also gets the district's groups."""
    schema.upgrade(engine())
    with transaction() as session:
        groups.seed(session)
    click.echo("The database is up to date.")


@database_commands.command("check")
def check() -> None:
    """Compare the database with the models; exit 1 when they differ."""
    differences = schema.differences(engine())
    if differences:
        raise click.ClickException(f"{len(differences)} differences: run `db upgrade`.")
    click.echo("The database is as it should be.")


@database_commands.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database into the new FILE, while it is in use; the keys are not in it."""
    try:
        copies.backup(engine(), file, _hold)
    except copies.CopyRefused as error:
        raise click.ClickException(str(error)) from error
    click.echo("The copy is made. It opens nothing without the keys: keep those elsewhere.")


@database_commands.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put the copy FILE in the place of the database, on hold; not while a worker works."""
    witness = Witness(parts().settings.state_folder)
    if are_working(parts().settings.state_folder / "workers") or _is_another_working(witness):
        raise click.ClickException("A worker works on the database. Stop it first, on every host.")
    try:
        copies.restore(engine(), file, _hold)
    except copies.CopyRefused as error:
        raise click.ClickException(str(error)) from error
    click.echo("The copy is in place, and on hold. See `hold status`, then `hold release`.")


def _hold(copied: Engine) -> None:
    """Hold every host that the copy knows, and this one."""
    seen = Witness(parts().settings.state_folder).seen()
    with Session(copied) as session, session.begin():
        hold.begin(session, "restored", seen)


def _is_another_working(witness: Witness) -> bool:
    """Tell whether a worker with another state folder has been about; not if nothing tells."""
    try:
        with transaction() as session:
            return hold.is_working(session, witness.seen())
    except DBAPIError:
        return False
