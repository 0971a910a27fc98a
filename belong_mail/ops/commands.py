"""The operator's commands: database, keys, outbox, hold, purge and development."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail import settings
from belong_mail.accounts.commands import GROUP_HELP, keys_here
from belong_mail.core import encrypted_file, encryption
from belong_mail.core.db import SchemaInconsistent, count_rows, make_engine, now
from belong_mail.core.terminal import FILE, asks, progress, refusing, working
from belong_mail.delivery.worker_lock import is_worker_running
from belong_mail.groups import service as groups
from belong_mail.groups.commands import require_group
from belong_mail.ops import backup as database_backup
from belong_mail.ops import (
    backup_retention,
    demo_data,
    figures,
    grants,
    hold,
    inspection,
    key_check,
    outbox,
    rooms,
    schema,
)
from belong_mail.ops import move as database_move
from belong_mail.ops.findings import Finding
from belong_mail.ops.host_state import HostStateFile
from belong_mail.ops.upgrade_command import COPIES
from belong_mail.web.context import services, transaction

# For examples in help texts.
COPY = "/var/lib/belong-worker/2027-06-01"
PLAIN = "Done. The copy opens nothing without the keys: keep those elsewhere."
ENCRYPTED = "Done. The copy is encrypted: only the private key of backups opens it."
AFTER_DOUBT = (
    "`newsletter stop ID` sends nothing more of one. `newsletter resume ID` sends what is queued"
    " here: whoever got it after the copy was made gets it twice."
)


@click.group("keys")
def key_commands() -> None:
    """Make new keys, and replace old ones."""


@click.group("db")
def database_commands() -> None:
    """Upgrade, check, back up and restore the database."""


@database_commands.command("upgrade", epilog="Example: belong db upgrade --seed dps")
@click.option(
    "--seed",
    type=click.Choice(groups.SEEDS),
    help="Give a database without groups those of this district.",
)
def upgrade(seed: str | None) -> None:
    """Bring the database up to date.

    A new database has no groups. The office adds them on the site, or `group add` does.
    """
    schema.upgrade(services().engine, _check_keys())
    _give_rights()
    if seed:
        with transaction() as session:
            schema.lock(session.connection())
            if not groups.seed(session):
                click.echo("The database has groups already, so none were added.")
    click.echo("The database is up to date.")


@database_commands.command("downgrade")
def downgrade() -> None:
    """Say how to go back, as no step of the schema is undone."""
    raise click.ClickException(
        "No step of this version is undone. To go back, restore the copy that `upgrade` made, in"
        f" {COPIES}."
    )


@database_commands.command("check")
def check() -> None:
    """Check that the database is up to date.

    Exits with 1 if it differs from what this version needs.
    """
    differences = schema.differences(services().engine)
    if differences:
        raise click.ClickException(f"Differences found: {len(differences)}. Run `db upgrade`.")
    click.echo("The database is as it should be.")


@database_commands.command("backup", epilog=f"Example: belong db backup {COPY}")
@click.argument("file", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--keep",
    metavar="DAYS,WEEKS",
    callback=lambda _context, _option, given: given and _kept(given),
    help="With a folder: delete all copies in it but the last ones of so many days and weeks.",
)
def backup(file: Path, keep: tuple[int, int] | None) -> None:
    """Copy the database into a new file.

    In a folder, the file is named by date and time. The database can be in use meanwhile. The copy
    has no keys in it. With BELONG_BACKUP_RECIPIENT it is encrypted to that key.
    """
    database_backup.exit_on_sigterm()
    is_folder, given = False, services().settings
    with suppress(OSError):
        is_folder = file.is_dir()
    if keep and not is_folder:
        raise click.UsageError("--keep is for a folder of copies.")
    key = given.backup_recipient
    place = file / backup_retention.file_name(now()) if is_folder else file
    database_backup.sweep(given.state_folder, place.parent)
    with refusing(database_backup.InvalidBackup), working("Copying the database …"):
        database_backup.backup(services().engine, place, _hold, key, given.state_folder)
    with suppress(DBAPIError), transaction() as session:
        figures.note(session, figures.BACKUP)
    if keep:
        number = len(backup_retention.delete_old(file, *keep))
        click.echo(f"Older copies deleted: {number}.")
    click.echo(ENCRYPTED if key else PLAIN)


def _kept(given: str) -> tuple[int, int]:
    """Parse days and weeks of backups to keep, such as “7,4”; at least one day."""
    days, _, weeks = given.partition(",")
    if not (days.isdecimal() and int(days) and (not weeks or weeks.isdecimal())):
        raise click.BadParameter("must be numbers like 7,4: the days from 1, and the weeks.")
    return int(days), int(weeks or 0)


KEY_FILE = click.option(
    "--key-file",
    type=FILE,
    help="The file with the private key, if the copy is encrypted.",
)


@database_commands.command(
    "restore", epilog=f"Example: belong db restore {COPY} --key-file /media/stick/backup-key"
)
@click.argument("file", type=FILE)
@KEY_FILE
@asks("What is in the database now is lost. Replace it with {file}?")
def restore(file: Path, key_file: Path | None) -> None:
    """Replace the database with the copy FILE, on hold.

    Stop all workers first. Nothing is sent until `hold release`.
    """
    database_backup.exit_on_sigterm()
    _require_no_worker()
    scratch = services().settings.state_folder
    with (
        refusing(database_backup.InvalidBackup),
        working("Restoring the copy …"),
        database_backup.opened(file, key_file, scratch) as copy,
    ):
        database_backup.restore(services().engine, copy, _hold, _check_keys())
    _give_rights()
    click.echo(
        "Restored, and on hold. Start the worker, run `hold status`, then `hold release --doubt`."
    )


@database_commands.command(
    "drill", epilog=f"Example: belong db drill {COPY} --key-file /media/stick/backup-key"
)
@click.argument("file", type=FILE)
@click.option(
    "--database", "url", default="", help="For PostgreSQL: an empty database to try it in."
)
@KEY_FILE
def drill(file: Path, url: str, key_file: Path | None) -> None:
    """Try a restore of the copy FILE.

    The database in use is not touched. Restores the copy into a place of its own, checks it, opens
    rows of each kind with the keys here, and removes it again. Nothing is sent. Exits with 1 unless
    all is well.
    """
    database_backup.exit_on_sigterm()
    place, given = services().settings.state_folder, _database_url(url) if url else ""
    if given.startswith("sqlite"):
        raise click.UsageError("A copy of SQLite needs no database to be tried in.")
    with (
        refusing(database_backup.InvalidBackup, SchemaInconsistent),
        working("Trying the copy …"),
        database_backup.opened(file, key_file, place) as copy,
        database_backup.drill(copy, place, given, _hold, _check_keys()) as restored,
    ):
        findings, number = list(inspection.check_database(restored)), count_rows(restored)
        with Session(restored) as session:
            findings += inspection.check_opening(session, keys_here())
            until = hold.pulse(session)
    as_of = f" A worker last worked on it at {until:%Y-%m-%d %H:%M} UTC." if until else ""
    inspection.print_findings([Finding(f"The copy has {number} rows.{as_of}"), *findings])


@database_commands.command("move", epilog="Example: belong db move /etc/belong-mail/keys/database")
@click.argument("target", metavar="URL")
def move(target: str) -> None:
    """Copy everything to the empty database URL.

    From SQLite to PostgreSQL, or back. Compares every row. URL can also be a file with the URL in
    it, so that no list of processes shows its password. Stop web and workers first. The old
    database stays as it was, on hold.
    """
    _require_no_worker()
    source, other = services().engine, make_engine(_database_url(target))
    bad = refusing(database_move.InvalidMove, SchemaInconsistent)
    with bad, progress(count_rows(source), "Rows") as bar:
        seen = _state_file().seen()
        leave = partial(hold.start_hold, because="asked", seen=seen)
        number = database_move.move(source, other, bar.update, leave)
    click.echo(f"Moved and compared: {number} rows. This database is on hold from now on.")
    click.echo("Name the new one in BELONG_DATABASE_URL. Then run `db upgrade` and `hold release`.")


@click.group("outbox")
def outbox_commands() -> None:
    """Retry email that is waiting."""


@outbox_commands.command("retry")
def retry() -> None:
    """Try all waiting email now.

    Use it when the relay accepts email again.
    """
    with transaction() as session:
        number = outbox.ask_retry(session)
    click.echo(f"Messages due now: {number}. A running worker tries them within seconds.")


@key_commands.command("new", epilog="Example: belong keys new > /root/belong-keys")
def new_keys() -> None:
    """Print one new key of each kind, as settings."""
    for kind, key in encryption.new_keys().items():
        click.echo(f"BELONG_{kind.upper()}_KEYS={key}")


@key_commands.command("backup", epilog="Example: belong keys backup /media/stick/backup-key")
@click.argument("file", type=click.Path(path_type=Path))
def backup_key(file: Path) -> None:
    """Make the key that opens backups, in the new FILE.

    Take a FILE on a USB stick or on another computer: it opens every backup, and without it no one
    does. It is written nowhere else. Prints the public key, as a setting.
    """
    private, public = encrypted_file.new_key_pair()
    try:
        encrypted_file.write_key_file(file, private, public, now().date())
    except OSError as error:
        why = "already exists" if isinstance(error, FileExistsError) else "cannot be written"
        raise click.ClickException(f"{file} {why}. No key was made.") from error
    click.echo(f"BELONG_BACKUP_RECIPIENT={public}")
    click.echo(
        "Put this line into worker.env. Keep the file away from this machine, twice.", err=True
    )


@key_commands.command(
    "check",
    epilog="Example: sudo -u belong-worker belong keys check - < /media/usb/belong-keys.tar",
)
@click.argument("file", type=click.File("rb"))
def check_key_copy(file: BinaryIO) -> None:
    """Say whether the copy of the keys in FILE opens this database.

    FILE is a tar of the folder of keys, or what `keys new` prints; “-” is standard input. Try yours
    once a year: without the keys, no one can be emailed again.
    """
    keys = key_check.read_copy(file.read(key_check.MAX_OCTETS))
    with transaction() as session:
        faults = key_check.copy_faults(session, keys, services().settings)
        if faults:
            raise click.ClickException(" ".join(faults))
        figures.note(session, figures.KEYS_TRIED)
    click.echo("The copy opens this database, and has every key that is in use here.")


@key_commands.command("rotate", epilog="Example: belong keys rotate > /root/belong-keys")
def rotate_keys() -> None:
    """Print the lists of keys with a new key at the end of each.

    Changes nothing by itself: write the lists to your settings in the order that it says.
    """
    settings, made = services().settings, encryption.new_keys()
    lists = {
        "private": settings.private_keys, "public": settings.public_keys,
        "secret": settings.secret_keys,
    }  # fmt: skip
    for kind, old in lists.items():
        click.echo(f"BELONG_{kind.upper()}_KEYS={','.join([*old, made[kind]])}")
    click.echo("1. Save the private keys and restart the worker.", err=True)
    click.echo("2. Save the public and secret keys and restart web and worker.", err=True)
    click.echo("3. Run `doctor`. It says when the old private key can go.", err=True)


def _give_rights() -> None:
    """Grant the rights of the web's role in PostgreSQL, if it has one."""
    with refusing(grants.InvalidRole), services().engine.begin() as connection:
        grants.apply_grants(connection, services().settings.web_database_role)


def _hold(copied: Engine) -> None:
    """Put all hosts of a restored database, and this one, on hold."""
    with Session(copied) as session, session.begin():
        hold.start_hold(session, "restored", _state_file().seen())


def _database_url(given: str) -> str:
    """Return the given URL, or the one in the given file."""
    try:
        is_file = "://" not in given
        return settings.database(Path(given).read_text().strip() if is_file else given)
    except OSError as error:
        raise click.ClickException(f"{given} cannot be read.") from error
    except ValueError as error:
        raise click.ClickException(f"The URL {error}") from error


def _check_keys() -> schema.Check:
    return partial(key_check.require_keys, settings=services().settings)


def _require_no_worker() -> None:
    is_working = is_worker_running(services().settings.state_folder / "workers")
    with suppress(DBAPIError), transaction() as session:  # without tables, no host has worked on it
        is_working |= hold.is_working(session, _state_file().seen())
    if is_working:
        raise click.ClickException(
            "A worker is running on the database. Stop it first, on every host."
        )


@click.command(epilog="Example: belong demo --group asian --members 500")
@click.option("--group", "slug", required=True, help=GROUP_HELP)
@click.option(
    "--members", type=click.IntRange(1, 1_000_000), required=True, help="How many members to add."
)
def demo(slug: str, members: int) -> None:
    """Add made-up members to a group, in development.

    Their addresses are at example.org, and confirmed.
    """
    _only_in_development()
    keyring = keys_here()
    with transaction() as session, progress(members, "Members") as bar:
        demo_data.add_members(session, keyring, require_group(session, slug), members, bar.update)
    click.echo(f"Made-up members added to {slug}: {members}.")


@click.command()
def prepare() -> None:
    """Set up a development site with sample data.

    Makes the database, the groups and the sample.
    """
    _only_in_development()
    schema.upgrade(services().engine)
    keyring = keys_here()
    with transaction() as session:
        groups.seed(session)
        demo_data.fill_demo(session, keyring)
    click.echo(
        f"Sample group leader: {demo_data.DEMO_LEAD}. Sign in at"
        f" {services().settings.base_url}/sign-in; the link comes to the mailbox."
    )


def _only_in_development() -> None:
    if not services().settings.is_development:
        raise click.ClickException("Made-up people are for development only.")


@click.group("hold")
def hold_commands() -> None:
    """Hold sending, or release the hold.

    A restored or cloned host is on hold until you release it.
    """


@hold_commands.command("status")
def status() -> None:
    """Say whether this host is on hold, and why.

    Exits with 1 if it is.
    """
    seen = _state_file().seen()
    with transaction() as session:
        host = hold.host_of(session, seen)
        because = hold.hold_reason(session, host, seen)
        if because is None and key_check.key_faults(session, keys_here()):
            because = hold.WRONG_KEYS
        changes = hold.changes(session, host, seen) if because == hold.CHANGED else []
        others, waiting = hold.other_hosts(session, seen), hold.waiting(session)
    if others:
        click.echo(f"Other hosts on hold: {others}.")
    if because is None:
        click.echo("Sending is not on hold.")
        return
    click.echo(f"Sending is on hold: {hold.REASONS[because]}")
    click.echo("".join(f"What changed: {words}.\n" for words in changes), nl=False)
    click.echo(f"{_reason_text(waiting)} {hold.WAYS_OUT.get(because, hold.DOUBT)}")
    raise click.exceptions.Exit(1)


@hold_commands.command("release", epilog="Example: belong hold release --doubt")
@click.option(
    "--doubt",
    is_flag=True,
    help="Pause newsletters that were being sent, and mark their copies as uncertain.",
)
@asks("What waits leaves then. Release the hold?")
def release(*, doubt: bool) -> None:
    """Let this host read, send and delete again.

    Says what it will send.
    """
    with _state_file().locked_update() as seen, transaction() as session:
        because = hold.hold_reason(session, hold.host_of(session, seen), seen)
        if because is not None:
            if doubt:
                number = outbox.doubt_copies(session, services().settings.uncertain)
                click.echo(
                    f"Newsletters paused: {number}. {AFTER_DOUBT if number else ''}".rstrip()
                )
            hold.release_hold(session, seen)
        waiting = hold.waiting(session)
    if because is None:
        click.echo("Sending is not on hold.")
        return
    click.echo(f"Released. {_reason_text(waiting)} A running worker resumes within seconds.")


@hold_commands.command("begin")
def begin() -> None:
    """Hold sending on all hosts.

    Use it before you clone this machine or its database.
    """
    seen = _state_file().seen()
    with transaction() as session:
        hold.start_hold(session, "asked", seen)
    click.echo("Sending is on hold, on every host that has worked on this database.")


@click.command("purge")
@asks("What is past its retention time is deleted for good. Go on?")
def purge_command() -> None:
    """Delete what is past its retention time, now.

    Prints how many rows of each kind went.
    """
    with transaction() as session:
        session.connection(execution_options={"has_time": True})
        with working("Deleting …"):
            removed = rooms.purge_all(session)
    for name, number in removed.items():
        click.echo(f"{name}\t{number}")


def _state_file() -> HostStateFile:
    return HostStateFile(services().settings.state_folder)


def _reason_text(waiting: dict[str, int]) -> str:
    return f"Waiting: {hold.in_words(waiting)}." if waiting else "Nothing is waiting."
