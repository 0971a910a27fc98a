"""The operator's commands: the database, its copies, keys, and the doctor."""

from pathlib import Path

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail import keys, rotation, schema
from belong_mail.accounts.commands import keys_here
from belong_mail.current import parts, transaction
from belong_mail.groups import service as groups
from belong_mail.hold import service as hold
from belong_mail.hold.witness import Witness
from belong_mail.operating import copies, doctor
from belong_mail.operating.figures import gather
from belong_mail.sending.presence import are_working


@click.group("keys")
def key_commands() -> None:
    """Keys: new ones, and the change from old to new."""


@click.group("db")
def database_commands() -> None:
    """The database: its schema, and copies of it."""


@database_commands.command("upgrade")
def upgrade() -> None:
    """Bring the schema up to date; an empty database also gets the district's groups."""
    schema.upgrade(parts().engine)
    with transaction() as session:
        groups.seed(session)
    click.echo("The database is up to date.")


@database_commands.command("check")
def check() -> None:
    """Compare the database with the models; exit 1 when they differ."""
    differences = schema.differences(parts().engine)
    if differences:
        raise click.ClickException(f"{len(differences)} differences: run `db upgrade`.")
    click.echo("The database is as it should be.")


@database_commands.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database into the new FILE, while it is in use; the keys are not in it."""
    try:
        copies.backup(parts().engine, file, _hold)
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
        copies.restore(parts().engine, file, _hold)
    except copies.CopyRefused as error:
        raise click.ClickException(str(error)) from error
    click.echo("The copy is in place, and on hold. See `hold status`, then `hold release`.")


@click.command("doctor")
def doctor_command() -> None:
    """Look at keys, database, relay, DNS, clocks and what waits; exit 1 unless all is well."""
    settings = parts().settings
    findings = list(doctor.check_database(parts().engine))
    if not any(finding.is_wrong for finding in findings):
        with transaction() as session:
            findings += doctor.check_work(gather(session))
    findings += [*doctor.check_keys(settings), *doctor.check_relay(settings)]
    if not settings.smtp_url.startswith("mailbox:"):
        findings += doctor.check_names(settings.mail_domain, doctor.look_up)
    for finding in findings:
        click.echo(f"{'WRONG' if finding.is_wrong else 'ok'}\t{finding.words}")
    if any(finding.is_wrong for finding in findings):
        raise click.exceptions.Exit(1)


@key_commands.command("new")
def new_keys() -> None:
    """Print one new key of each kind, as settings."""
    for kind, key in keys.new().items():
        click.echo(f"BELONG_{kind.upper()}_KEYS={key}")


@key_commands.command("rotate")
def rotate_keys() -> None:
    """Print the keys with a new pair and a new secret at the end of their lists."""
    settings, made = parts().settings, keys.new()
    keys_here()[0]
    lists = {
        "private": settings.private_keys, "public": settings.public_keys,
        "secret": settings.secret_keys,
    }  # fmt: skip
    for kind, old in lists.items():
        click.echo(f"BELONG_{kind.upper()}_KEYS={','.join([*old, made[kind]])}")
    click.echo("First the private keys, and restart the worker; then the others.", err=True)
    click.echo("It wraps anew by itself; `keys status` says when old ones may go.", err=True)


@key_commands.command("status")
def key_status() -> None:
    """Say whether anything still needs a private key that is not the newest; exit 1 if so."""
    with transaction() as session:
        left = rotation.left(session, keys_here()[0])
    if left:
        raise click.ClickException(f"{left} things still need an older private key. Keep it.")
    click.echo("Nothing needs an older private key. Copies made before may still need it.")


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


COMMANDS = {
    "db": database_commands,
    "keys": key_commands,
    "doctor": doctor_command,
}
