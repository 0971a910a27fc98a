"""Look into a site's database, or change it behind everybody's back, in one statement."""

from typing import Any

from sqlalchemy import Executable, Select

from belong_mail.core.services import Services


def query(services: Services, wanted: Select[Any]) -> list[Any]:
    with services.reading.begin() as session:
        return list(session.scalars(wanted))


def do(services: Services, verb, *given: Any, **named: Any) -> Any:
    """Do one verb in a transaction of its own, and return what it returns."""
    with services.writing.begin() as session:
        return verb(session, *given, **named)


def execute(services: Services, statement: Executable) -> None:
    with services.writing.begin() as session:
        session.execute(statement)
