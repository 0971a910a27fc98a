"""Turn errors that end a command or the worker into a sentence instead of a traceback."""

import re

from sqlalchemy.exc import DatabaseError, ProgrammingError

from belong_mail.core.database_errors import NO_DATABASE, error_name, is_disk_full
from belong_mail.core.db import SchemaInconsistent, SchemaOutdated
from belong_mail.core.decryption import KeysMissing
from belong_mail.mail.hosts import InvalidSetting
from belong_mail.ops.host_state import StateFolderError
from belong_mail.ops.key_check import WrongKeys

DAMAGED = (
    "The database is damaged, or is not a database. Nothing was changed. Stop web and worker, keep"
    " the file as it is, and restore a copy. The worker is on hold then until `hold release`."
)


# Our words for errors of PostgreSQL, its library or SQLite, whose own text quotes names.
FAULTS = {
    r"password authentication failed|no password supplied": (
        "The server refuses the password in BELONG_DATABASE_URL. Put the right one in place."
    ),
    r'database ".*" does not exist': (
        "The server has no database of that name. Make it, or correct BELONG_DATABASE_URL. Then run"
        " `belong db upgrade` as the worker."
    ),
    r'role ".*" does not exist': "The server does not know the user in BELONG_DATABASE_URL.",
    r"pg_hba[.]conf": "The server lets no one in from here as this user: see its pg_hba.conf.",
    r"canceling statement|server is silent": (
        "A statement took too long: the server is slow or busy, or another session holds a lock."
        " Nothing was changed. Try again."
    ),
    r"database is locked": "Another process writes to it. Nothing was changed. Try again.",
    r"too many clients|too many connections|remaining connection slots": (
        "The server has no connection left. Try again, or let it have more."
    ),
    r"certificate": (
        "The server's certificate cannot be checked. See sslmode and sslrootcert in"
        " BELONG_DATABASE_URL."
    ),
    r"refused|running|resolve|translate|timeout|unreachable|closed the|a moment ago|system is": (
        "The server does not answer. Is it running, and are host and port in BELONG_DATABASE_URL"
        " right? If the database is new, run `belong db upgrade` as the worker once it answers."
    ),
}
OTHER_FAULT = "Check BELONG_DATABASE_URL, and run `belong db upgrade` as the worker."
FULL = "The disk of the database is full. Make room, and try again. Nothing was changed."


def folder_error_message(error: OSError) -> str:
    """Return a sentence for an operator if the worker cannot use its state folder."""
    return (
        f"BELONG_STATE_FOLDER cannot be used: {error.strerror or type(error).__name__}. Is the disk"
        " full or read-only? Does the folder belong to another user?"
    )


def error_message(error: Exception) -> str:
    """Return a sentence about an error; re-raise one that an operator cannot fix."""
    if is_disk_full(error):
        return FULL
    if isinstance(error, (*NO_DATABASE, ProgrammingError, SchemaOutdated)):
        said = str(getattr(error, "orig", None) or "")
        found = (words for pattern, words in FAULTS.items() if re.search(pattern, said))
        return f"The database cannot be used ({error_name(error)}). {next(found, OTHER_FAULT)}"
    if type(error) is DatabaseError:
        return DAMAGED
    if isinstance(error, InvalidSetting):
        return f"BELONG_SMTP_URL or BELONG_INBOUND_URL: {error}"
    if isinstance(error, (KeysMissing, WrongKeys, StateFolderError, SchemaInconsistent)):
        return str(error)
    raise error
