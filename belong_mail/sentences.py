"""What ends a command or a worker, in a sentence in place of a traceback."""

from sqlalchemy.exc import DatabaseError, ProgrammingError

from belong_mail.db import NO_DATABASE
from belong_mail.hold.witness import WitnessUnreadable
from belong_mail.mail.relay import RelayRefused
from belong_mail.opening import KeysMissing
from belong_mail.revision import SchemaIsOld

DAMAGED = (
    "The database is damaged, or is none. Nothing was changed. Stop web and worker, keep the file"
    " as it is, and put back a copy; the worker is on hold then until `hold release`."
)


def about(error: Exception) -> str:
    """Say what is wrong; raise the error again when it is none that an operator can mend."""
    if isinstance(error, (*NO_DATABASE, ProgrammingError, SchemaIsOld)):
        return (
            f"The database cannot be used ({type(error).__name__}). Is BELONG_DATABASE_URL"
            " right, and has `flask --app wsgi db upgrade` run?"
        )
    if type(error) is DatabaseError:
        return DAMAGED
    if isinstance(error, KeysMissing):
        return KeysMissing.__doc__ or ""
    if isinstance(error, RelayRefused):
        return f"BELONG_SMTP_URL: {error}"
    if isinstance(error, WitnessUnreadable):
        return str(error)
    raise error
