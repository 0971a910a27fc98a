"""Every page stands, whatever odd value the web left in a column that it may write."""

import sqlite3
from contextlib import closing, suppress

import pytest
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from belong_mail.core.db import Base
from tests.crawl import lead_stops, mailed_links, reference_of, sign_in, stops
from tests.markers import night, on_sqlite, one_by_day
from tests.privacy.changes import CHANGES, extremes, kind_of, make_up

# A round walks some twenty times past all pages.
pytestmark = [on_sqlite, pytest.mark.timeout(400)]

# Values to try by type, besides the extremes.
ODD: dict[type, list[object]] = {
    str: ["x\r\n\0y", "javascript:alert(1)"],
    int: [0],
    object: [{"en": 5, "es": "\ud800"}, 5, [5], [{"url": "javascript:x", "title": 5}]],
}
COLUMNS = {
    str(column): column
    for table, verb, name in CHANGES
    if verb != "delete" and not (column := Base.metadata.tables[table].c[name]).foreign_keys
}
# Pages that show no row of these, and one that tells whether the worker runs.
NOT_WALKED = ("bent", "unknown", "style", "mail", "html", "/readyz")


@pytest.fixture
def try_odd(app, scenario):
    """Return a function that writes odd values, walks past every page, and takes them back."""
    services, visitor, file = scenario.services, scenario.visitor, scenario.engine.url.database
    links, lead = mailed_links(scenario), sign_in(app, scenario.keyring)
    pages = [(lead, each) for each in lead_stops(app, services)]
    public = stops(services, links, reference_of(visitor))
    pages += [(visitor, each.url) for each in public if not each.name.startswith(NOT_WALKED)]
    with services.writing.begin() as session:
        for table in ("approvals", "meeting_changes", "passkeys", "site_settings", "imports"):
            make_up(session, table)
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(":memory:")) as kept:
        live.backup(kept)

        def try_values(columns, which: int) -> None:
            for column in columns:
                values = [*ODD.get(kind_of(column), []), *extremes(column, "sqlite")]
                put(services, column, values[which % len(values)])
            for browser, page in pages:
                with browser.open(page) as answer:
                    assert answer.status_code < 500, page
            kept.backup(live)

        yield try_values


def put(services, column, value: object) -> None:
    """Write it into each row, or into a new one of a table that keeps what it has."""
    table, said = column.table, {column.name: value}
    with suppress(SQLAlchemyError), services.writing.begin() as session:
        session.execute(update(table).values(said))
        return
    with suppress(SQLAlchemyError), services.writing.begin() as session:
        make_up(session, table.name, **said)


@one_by_day("the other odd values")
@pytest.mark.parametrize("which", range(6))
def test_pages_stand_on_odd_values_in_any_one_table(which, try_odd):
    for table in dict.fromkeys(each.table for each in COLUMNS.values()):
        try_odd([each for each in COLUMNS.values() if each.table is table], which)


@night("by table runs each day")
@pytest.mark.parametrize("name", COLUMNS)
def test_pages_stand_on_odd_values_in_any_one_column(name, try_odd):
    for which in range(6):
        try_odd([COLUMNS[name]], which)
