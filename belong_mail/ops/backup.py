"""Back up and restore the database; backups contain no keys, and are restored on hold."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, MetaData, create_engine, inspect
from sqlalchemy.exc import DatabaseError

from belong_mail.core import encrypted_file
from belong_mail.core.db import create, make_engine, schema_step
from belong_mail.ops import schema

# Puts a restored database on hold.
BackupMark = Callable[[Engine], None]
# Prefix of temporary folders with an unfinished or unencrypted copy.
SCRATCH_PREFIX = ".belong-unfinished-"
# A younger folder may be in use, as systemd lets a backup run for six hours.
LEFT_AFTER_SECONDS = 12 * 60 * 60
UNREADABLE = "pg_restore is not installed, or it cannot read this copy."
FAILED = "{} failed, see above. Is it as new as the server?"
# First bytes of pg_dump's output.
PG_DUMP = b"PGDMP"
# For PostgreSQL.
TRIGGER_FUNCTIONS = "deliveries_count_insert(), deliveries_count_update()"
# Fast compression, as most of the data is encrypted and does not shrink.
DUMPING = ("--format=custom", "--compress=1")
# Head and end of a table in pg_restore's output; tables and rows that checks of a copy read.
COPIED = re.compile(r"COPY \w+[.](\w+) \((.*)\) FROM stdin;\n")
END_OF_TABLE = "\\.\n"
SAMPLED_TABLES = ("alembic_version", "groups", "subscriptions", "accounts")
SAMPLED_ROWS = 20
REPLACING = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")


class InvalidBackup(Exception):
    """No backup was made or restored, and nothing was changed; the error says why."""


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that a stopped command removes its temporary files."""

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def sweep(*folders: Path) -> None:
    """Delete the temporary folders that killed commands left in these folders."""
    for left in chain.from_iterable(folder.glob(f"{SCRATCH_PREFIX}*") for folder in folders):
        with suppress(FileNotFoundError):
            if left.lstat().st_mtime < time.time() - LEFT_AFTER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a new folder (mode 0700) in the state folder, and remove it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH_PREFIX) as name:
        yield Path(name)


def backup(engine: Engine, file: Path, mark: BackupMark, public_key: str, scratch: Path) -> None:
    """Copy a database that may be in use into a new file (mode 0600).

    With a public key the copy is encrypted; SQLite's is first written unencrypted into `scratch`. A
    copy of SQLite is marked as on hold, as it could be used as a database. Raises InvalidBackup.
    """
    with _new_file(file) as part:
        if not public_key:
            _copy(engine, part, mark)
        elif engine.dialect.name == "sqlite":
            with _scratch(scratch) as folder:
                clear = _empty_file(folder / "copy")
                _copy(engine, clear, mark)
                with clear.open("rb") as source, part.open("wb") as out:
                    encrypted_file.encrypt(source, out, public_key)
        else:
            _encrypt_dump(engine, part, public_key)
        with part.open("rb") as written:
            os.fsync(written.fileno())


def _copy(engine: Engine, part: Path, mark: BackupMark) -> None:
    if engine.dialect.name != "sqlite":
        with part.open("wb") as out:
            _tool("pg_dump", engine, *DUMPING, stdout=out)
        return
    _copy_sqlite(engine.url.database or "", part, mark)


def _encrypt_dump(engine: Engine, part: Path, public_key: str) -> None:
    """Encrypt pg_dump's output as a stream, so that nothing unencrypted is written to this disk."""
    command, environment = _call("pg_dump", engine, *DUMPING)
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as dump,  # noqa: S603 - our own
        part.open("wb") as out,
    ):
        assert isinstance(dump.stdout, BufferedReader)  # noqa: S101 - a pipe, as asked
        try:
            encrypted_file.encrypt(dump.stdout, out, public_key)
        except BaseException:
            dump.kill()  # it may be silent for long, and Popen would wait for it
            raise
    if dump.returncode:
        raise InvalidBackup(FAILED.format("pg_dump"))


@contextmanager
def opened(file: Path, key_file: Path | None, scratch: Path) -> Iterator[Path]:
    """Yield an unencrypted copy: the file itself, or what it decrypts to, in `scratch`.

    Refuses a truncated file, and with a key also one that is not encrypted, as someone else may
    have put it there. Raises InvalidBackup.
    """
    if key_file is None:
        if encrypted_file.is_encrypted(file):
            raise InvalidBackup("This copy is encrypted. Name its private key's file: --key-file.")
        yield file
        return
    with _scratch(scratch) as folder:
        clear = _empty_file(folder / "copy")
        try:
            with file.open("rb") as source, clear.open("wb") as out:
                encrypted_file.decrypt(source, out, key_file)
        except encrypted_file.InvalidFile as error:
            raise InvalidBackup(str(error)) from error
        yield clear


def _empty_file(file: Path) -> Path:
    """Create a new file (mode 0600)."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return file


def restore(engine: Engine, file: Path, mark: BackupMark, check: schema.Check) -> None:
    """Replace the database with a copy, upgrade it, and put it on hold. Raises InvalidBackup.

    `check` may refuse the copy, by raising; then nothing is replaced.
    """
    if engine.dialect.name != "sqlite":
        _refuse_unfit(engine, file, check)
        _tool("pg_restore", engine, *REPLACING, str(file.absolute()))
        schema.upgrade(engine)
        mark(engine)
        schema.analyze(engine)
        return
    place = Path(engine.url.database or "")
    with _new_file(Path(f"{place}.restoring")) as part:
        _copy_sqlite(file, part, partial(schema.upgrade, check=check), mark)
        create(engine)
        if os.geteuid() == 0:  # web and worker, which are not root, use the file
            folder = place.parent.stat()
            os.chown(place, folder.st_uid, folder.st_gid)
        _put_in_place(part, engine)


@contextmanager
def drill(
    file: Path, folder: Path, url: str, mark: BackupMark, check: schema.Check
) -> Iterator[Engine]:
    """Restore a copy into another database, yield this database, and remove it.

    A copy of SQLite is restored into a new folder in `folder`; one of PostgreSQL needs the URL of
    an empty database. Raises InvalidBackup.
    """
    with file.open("rb") as copy:
        if not url and copy.read(len(PG_DUMP)) == PG_DUMP:
            raise InvalidBackup("This copy is of PostgreSQL. Name an empty database: --database.")
    with _scratch(folder) as own:
        place = make_engine(url or f"sqlite:///{own}/belong.db")
        if url and inspect(place).get_table_names():
            raise InvalidBackup("The database for the drill is not empty. Nothing was done.")
        try:
            restore(place, file, mark, check)
            yield place
        finally:
            if url:
                _drop_tables(place)
            place.dispose()


def _drop_tables(engine: Engine) -> None:
    """Drop all tables, and the functions that their triggers call."""
    found = MetaData()
    with engine.begin() as connection:
        found.reflect(connection)
        found.drop_all(connection)
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {TRIGGER_FUNCTIONS}")


def _put_in_place(part: Path, engine: Engine) -> None:
    """Overwrite the database in one transaction, so that readers see the old or the new one."""
    engine.dispose()
    try:
        with closing(_sqlite(part)) as source, closing(engine.raw_connection()) as target:
            source.backup(target.driver_connection)  # type: ignore[arg-type]
    except (sqlite3.DatabaseError, DatabaseError) as error:
        raise InvalidBackup(
            "The file in the database's place is damaged or in use. Stop web and worker. If it is"
            " damaged, move it away with its -wal and -shm, and try again."
        ) from error
    finally:
        part.unlink()


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """Create a new file, whole or not at all, without replacing one.

    Until it is whole, it is in a temporary folder beside its place, as are SQLite's other files.
    """
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=SCRATCH_PREFIX) as folder:
            if file.exists():
                raise InvalidBackup(f"{file} already exists. It was not overwritten.")
            yield (part := _empty_file(Path(folder) / "copy"))
            if part.exists():
                os.link(part, file)
    except OSError as error:
        raise InvalidBackup(f"{file} cannot be written ({type(error).__name__}).") from error


def _sqlite(file: str | Path) -> sqlite3.Connection:
    name = f"file:{quote(str(Path(file).absolute()))}?mode=rw"
    try:
        return sqlite3.connect(name, uri=True, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise InvalidBackup(f"{file} cannot be opened.") from error


def _copy_sqlite(file: str | Path, part: Path, *steps: Callable[[Engine], object]) -> None:
    """Copy a database, run steps on the copy, and close it as one file without a WAL."""
    try:
        with closing(_sqlite(file)) as source, closing(_sqlite(part)) as copy:
            source.backup(copy)
            [[said]] = copy.execute("PRAGMA integrity_check(1)")
    except sqlite3.DatabaseError as error:
        raise InvalidBackup(
            "This is not a database, or it is damaged, or the disk is full."
        ) from error
    if said != "ok":
        raise InvalidBackup("The database is damaged. A copy of it would be damaged too.")
    engine = make_engine(f"sqlite:///{part}")
    for step in steps:
        step(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    engine.dispose()


def _call(name: str, engine: Engine, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of a PostgreSQL program; no argument has the password."""
    program = shutil.which(name)
    if program is None:
        raise InvalidBackup(f"{name} is not installed. Install PostgreSQL's client programs.")
    given = engine.dialect.create_connect_args(engine.url)[1]
    given.pop("context", None)
    password = {"PGPASSWORD": given.pop("password")} if "password" in given else {}
    command = [program, "--no-password", f"--dbname={make_conninfo('', **given)}", *arguments]
    return command, {**os.environ, **password}


def _tool(name: str, engine: Engine, *arguments: str, **options: Any) -> None:
    command, environment = _call(name, engine, *arguments)
    ended = subprocess.run(command, env=environment, check=False, **options)  # noqa: S603 - our own
    if ended.returncode:
        raise InvalidBackup(FAILED.format(name))


def _refuse_unfit(engine: Engine, file: Path, check: schema.Check) -> None:
    """Refuse a copy of PostgreSQL of another schema step, or that `check` refuses.

    Tables of a newer step would stay after a restore.
    """
    sample = create_engine("sqlite://")
    with sample.begin() as copied, engine.connect() as connection:
        _read_sample(file, copied)
        is_empty = not inspect(connection).get_table_names()
        if not is_empty and schema_step(connection) != schema_step(copied):
            raise InvalidBackup(
                "The copy and the database are of different versions. Make an empty database, name"
                " it in BELONG_DATABASE_URL, and try again."
            )
        check(copied)
    sample.dispose()


def _read_sample(file: Path, into: Connection) -> None:
    """Copy the first rows of the tables that checks read; most columns as PostgreSQL's text."""
    command = [shutil.which("pg_restore") or "pg_restore", "--data-only", "--file=-"]
    command += [f"--table={name}" for name in SAMPLED_TABLES]
    inserting, left = "", 0
    try:
        with subprocess.Popen(  # noqa: S603 - no shell, our own arguments
            [*command, str(file.absolute())], stdout=subprocess.PIPE, text=True
        ) as reading:
            for line in reading.stdout or ():
                if found := COPIED.fullmatch(line):
                    name, columns = found.groups()
                    into.exec_driver_sql(f"CREATE TABLE {name} ({columns})")
                    marks = ", ".join("?" * (columns.count(",") + 1))
                    inserting, left = f"INSERT INTO {name} VALUES ({marks})", SAMPLED_ROWS  # noqa: S608 - the copy's
                elif left and line != END_OF_TABLE:
                    values = line.rstrip("\n").split("\t")
                    into.exec_driver_sql(inserting, tuple(map(_from_text, values)))
                    left -= 1
                else:
                    left = 0
    except OSError as error:
        raise InvalidBackup(UNREADABLE) from error
    if reading.returncode:
        raise InvalidBackup(UNREADABLE)


def _from_text(said: str) -> str | bytes | None:
    """Return a value of PostgreSQL's text format; bytes are bytes, all else stays text."""
    if said.startswith(r"\\x"):
        with suppress(ValueError):  # a text that somebody typed
            return bytes.fromhex(said[3:])
    return None if said == r"\N" else said
