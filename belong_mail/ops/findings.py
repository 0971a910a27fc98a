"""The result of a check in words for an operator."""

from dataclasses import dataclass

from sqlalchemy import Engine

from belong_mail.core import db


@dataclass(frozen=True, slots=True)
class Finding:
    words: str
    is_wrong: bool = False


def failure(words: str) -> Finding:
    return Finding(words, is_wrong=True)


def check_schema(engine: Engine) -> Finding:
    """Check that the schema is the newest, which other checks require."""
    try:
        db.require_current_schema(engine)
    except db.SchemaOutdated:
        return failure("The database schema is not up to date. Run `db upgrade`.")
    return Finding("The database schema is up to date.")
