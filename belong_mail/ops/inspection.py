"""Inspect a database: schema, safety settings, rights of the web's role, and keys."""

import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from belong_mail.core.db import SKEW, UtcTime, now
from belong_mail.core.decryption import Keyring, Opener
from belong_mail.core.services import Settings
from belong_mail.ops import figures, grants, key_check, key_rotation
from belong_mail.ops.findings import Finding, check_schema, failure

PRAGMAS = {"journal_mode": ("wal",), "secure_delete": (1,), "synchronous": (2, 3)}
SERVERS_OWN = ("fsync", "full_page_writes", "synchronous_commit")
DAMAGED: Final = failure(
    "The database file is damaged. Stop web and worker, keep it, and restore a copy."
)
GROUP_USES: Final = stat.S_IRGRP | stat.S_IWGRP


def check_sharing(settings: Settings) -> Iterator[Finding]:
    """Check that the web's user can write to SQLite's files and folder.

    The worker owns them, and would work on while every form fails with 503.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    file = Path(url.database)
    with suppress(OSError):
        folder = file.parent.stat()
        files = [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]
        found = [each.stat() for each in files if each.exists()]
        is_shared = all(
            each.st_gid == folder.st_gid and each.st_mode & GROUP_USES == GROUP_USES
            for each in found
        )
        if folder.st_mode & stat.S_IWGRP and not is_shared:
            yield failure(
                "The web cannot write to the database: forms answer 503. As root, run:"
                f" chgrp {folder.st_gid} {file}*; chmod 660 {file}*"
            )


def check_opening(session: Session, keyring: Keyring) -> Iterator[Finding]:
    """Check that the keys open rows of each kind."""
    faults = key_check.key_faults(session, keyring) + key_check.unread_messages(session, keyring)
    yield from (
        failure(f"{fault} Put the right keys in place. Nothing is lost.") for fault in faults
    )
    if not faults:
        yield Finding("The keys here open rows of every kind in the database.")


def check_older_keys(session: Session, opener: Opener) -> Iterator[Finding]:
    """Report what still needs an older private key, and until when."""
    if not opener.old_key_ids:
        return
    left = key_rotation.rows_left(session, opener)
    for words, number in left.items():
        yield Finding(f"An older private key is still needed, by {number} {words}.")
    if not left:
        yield Finding(
            "Nothing here needs an older private key. Copies made earlier may still need it."
        )


def check_key_copy(session: Session) -> Finding:
    """Report when a copy of the keys was last checked."""
    tried = figures.noted_at(session, figures.KEYS_TRIED)
    if tried is None:
        return Finding(
            "No copy of the keys has been tried yet. `keys check FILE` does. Without the keys, no"
            " one can be emailed again."
        )
    return Finding(f"A copy of the keys was last tried on {tried:%Y-%m-%d}.")


def check_database(engine: Engine, web_role: str | None = None) -> Iterator[Finding]:
    """Check schema, safety settings, the web's role, and the integrity of an SQLite file.

    `web_role` is None if the web does not use this database, as in a drill.
    """
    yield check_schema(engine)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for pragma, fitting in PRAGMAS.items():
                if connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() not in fitting:
                    yield failure(f"SQLite's {pragma} is wrong. Is the file on a network disk?")
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            yield (Finding("The database file is intact.") if said == "ok" else DAMAGED)
            return
        for setting in SERVERS_OWN:
            if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off":
                yield failure(
                    f"PostgreSQL's {setting} is off, so a power cut loses data. Turn it on."
                )
        at = connection.scalar(text("SELECT now()").columns(now=UtcTime()))
        if at is not None and abs(at - now()) > SKEW:
            yield failure("This machine's clock and the database's differ. Set both by NTP.")
        if web_role is not None:
            yield from _check_role(connection, web_role)


def _check_role(connection: Connection, role: str) -> Iterator[Finding]:
    """Check that the web's role in PostgreSQL has exactly the rights in `grants.WEB`."""
    if not role:
        yield Finding(
            "Web and worker share one PostgreSQL role, so someone who breaks into the web can"
            " change every row. Give the web its own role, and name it in BELONG_WEB_DATABASE_ROLE."
        )
        return
    faults = grants.grant_faults(connection, role)
    yield from map(failure, faults)
    if not faults:
        yield Finding("The web's role in PostgreSQL has exactly the rights it needs.")


def print_findings(findings: Iterable[Finding]) -> None:
    """Print one finding a line; exit with 1 if anything is wrong."""
    listed = list(findings)
    for finding in listed:
        click.echo(f"{'WRONG' if finding.is_wrong else 'ok'}\t{finding.words}")
    if any(finding.is_wrong for finding in listed):
        raise click.exceptions.Exit(1)
