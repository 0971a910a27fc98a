"""Say in a sentence, without a traceback, what ends a command or a worker."""

from sqlalchemy.exc import DatabaseError, ProgrammingError

from belong_mail.core.db import NO_DATABASE, SchemaInconsistent, SchemaOutdated
from belong_mail.core.decryption import KeysMissing
from belong_mail.mail.smtp.transport import InvalidRelay
from belong_mail.ops.host_state import StateFolderError

DAMAGED = (
    "The database is damaged, or is not a database. Nothing was changed. Stop web and worker, keep"
    " the file as it is, and restore a copy. The worker is on hold then until `hold release`."
)


def folder_error_message(error: OSError) -> str:
    """Say what ends a worker that cannot use its state folder."""
    return (
        f"BELONG_STATE_FOLDER cannot be used: {error.strerror or type(error).__name__}. Is the disk"
        " full or read-only? Does the folder belong to another user?"
    )


def error_message(error: Exception) -> str:
    """Say what is wrong; raise the error again when an operator cannot fix it."""
    if isinstance(error, (*NO_DATABASE, ProgrammingError, SchemaOutdated)):
        return (
            f"The database cannot be used ({type(error).__name__}). Check BELONG_DATABASE_URL,"
            " and run `flask --app wsgi db upgrade`."
        )
    if type(error) is DatabaseError:
        return DAMAGED
    if isinstance(error, InvalidRelay):
        return f"BELONG_SMTP_URL: {error}"
    if isinstance(error, (KeysMissing, StateFolderError, SchemaInconsistent)):
        return str(error)
    raise error
