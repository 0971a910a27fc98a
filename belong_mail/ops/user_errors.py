"""Say in a sentence, without a traceback, what ends a command or a worker."""

from sqlalchemy.exc import DatabaseError, ProgrammingError

from belong_mail.core.db import (
    NO_DATABASE,
    SchemaInconsistent,
    SchemaOutdated,
    error_name,
    is_disk_full,
)
from belong_mail.core.decryption import KeysMissing
from belong_mail.mail.smtp.transport import InvalidRelay
from belong_mail.ops.host_state import StateFolderError

DAMAGED = (
    "The database is damaged, or is not a database. Nothing was changed. Stop web and worker, keep"
    " the file as it is, and restore a copy. The worker is on hold then until `hold release`."
)


FULL = "The disk of the database is full. Make room, and try again. Nothing was changed."


def folder_error_message(error: OSError) -> str:
    """Say what ends a worker that cannot use its state folder."""
    return (
        f"BELONG_STATE_FOLDER cannot be used: {error.strerror or type(error).__name__}. Is the disk"
        " full or read-only? Does the folder belong to another user?"
    )


def error_message(error: Exception) -> str:
    """Say what is wrong; raise the error again when an operator cannot fix it."""
    if is_disk_full(error):
        return FULL
    if isinstance(error, (*NO_DATABASE, ProgrammingError, SchemaOutdated)):
        return (
            f"The database cannot be used ({error_name(error)}). Check BELONG_DATABASE_URL, and run"
            " `belong db upgrade` as the worker."
        )
    if type(error) is DatabaseError:
        return DAMAGED
    if isinstance(error, InvalidRelay):
        return f"BELONG_SMTP_URL: {error}"
    if isinstance(error, (KeysMissing, StateFolderError, SchemaInconsistent)):
        return str(error)
    raise error
