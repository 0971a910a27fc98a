"""The audit trail: rows are added, nobody changes one, and they go after two years."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import DatabaseError, ProgrammingError
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, BrowserSession
from belong_mail.core import audit
from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.db import make_engine, now
from belong_mail.core.retention import AUDIT_AGE
from belong_mail.groups import service as groups
from belong_mail.ops import rooms
from tests.db_dump import trail
from tests.markers import on_both, on_sqlite
from tests.web_role import url_of_web

pytestmark = on_both("triggers and policies keep the trail")


def written(services, age: timedelta = timedelta(0)) -> int:
    values = {"kind": Kind.STOPPED, "role": audit.Role.OPERATOR, "at": now() - age}
    with services.writing.begin() as session:
        entry = AuditEntry(**values)
        session.add(entry)
    return entry.id


@pytest.fixture
def web(services) -> Iterator[Engine]:
    """The database as the web reaches it: on PostgreSQL by its role."""
    url = services.engine.url.render_as_string(hide_password=False)
    is_sqlite = services.engine.dialect.name == "sqlite"
    engine = make_engine(url if is_sqlite else url_of_web(url))
    yield engine
    engine.dispose()


def test_entry_names_things_by_ids_and_outlives_them(services):
    with services.writing.begin() as session:
        group = groups.add(session, "first-gen", "First Generation", "", is_upcoming=True)
        account = Account(address_index=b"index", wrapped_address=b"wrapped")
        session.add(account)
        session.flush()
        audit.record(session, Kind.LEAD_INVITED, group=group, account=account)
        session.flush()
        public_id = account.public_id
        session.delete(account)
        session.delete(group)
    entry = trail(services)[-1]
    named = entry.kind, entry.group_slug, entry.account
    assert named == ("group leader invited", "first-gen", public_id)
    assert entry.role == "worker", "nothing was said of who acts"
    assert abs(entry.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_no_address_and_no_words_come_into_the_trail(services):
    for detail in ("ada@dpsk12.org", "two words", "x" * 65, "línea"):
        with services.writing.begin() as session, pytest.raises(ValueError, match="ids and slugs"):
            audit.record(session, Kind.SETTING_CHANGED, detail=detail)
    assert trail(services) == []


def test_signing_in_is_recorded_with_its_session(lead, services):
    [entry] = [each for each in trail(services) if each.kind == Kind.SIGNED_IN]
    with services.reading.begin() as session:
        account = session.scalars(select(Account)).one()
        browser = session.scalars(select(BrowserSession)).one()
        assert (entry.role, entry.actor) == ("account", account.public_id)
        assert entry.browser_session == browser.public_id


def test_the_web_neither_changes_nor_deletes_an_entry(web, services):
    written(services)
    for change in (
        update(AuditEntry).values(kind="nothing"),
        update(AuditEntry).values(at=datetime(2020, 1, 1, tzinfo=UTC)),
        delete(AuditEntry),
        text("DELETE FROM audit_entries WHERE id = 1"),
    ):
        with (
            pytest.raises(DatabaseError, match=r"permission denied|audit trail"),
            Session(web) as session,
        ):
            session.execute(change)
    assert [entry.kind for entry in trail(services)] == [Kind.STOPPED]


@on_sqlite
def test_no_row_takes_the_place_of_an_entry(services):
    number = written(services)
    for verb in ("INSERT OR REPLACE", "REPLACE"):
        other = f"{verb} INTO audit_entries (id, kind, role) VALUES ({number}, 'x', 'worker')"
        with pytest.raises(DatabaseError, match="audit trail"), services.writing.begin() as session:
            session.execute(text(other))
    assert [entry.kind for entry in trail(services)] == [Kind.STOPPED]


@on_sqlite
def test_an_entry_younger_than_two_years_stays_whoever_deletes(services):
    written(services, AUDIT_AGE - timedelta(hours=1))
    with pytest.raises(DatabaseError, match="two years"), services.writing.begin() as session:
        session.execute(delete(AuditEntry))
    old = written(services, AUDIT_AGE + timedelta(hours=1))
    with services.writing.begin() as session:
        session.execute(delete(AuditEntry).where(AuditEntry.id == old))
    assert len(trail(services)) == 1


def test_entries_go_after_two_years(services):
    written(services, AUDIT_AGE + timedelta(minutes=2))
    kept = written(services, AUDIT_AGE - timedelta(minutes=2))
    with services.writing.begin() as session:
        assert rooms.purge_all(session)["audit entries"] == 1
    with time_machine.travel(now() + 2 * AUDIT_AGE), services.writing.begin() as session:
        assert rooms.purge_all(session)["audit entries"] == 0, "a clock that runs ahead"
    assert [entry.id for entry in trail(services)] == [kept]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_in_postgresql_a_broken_in_web_writes_neither_as_another_nor_for_another_time(web):
    for values in (
        {"role": "operator"},
        {"role": "worker"},
        {"role": "account", "at": datetime(2026, 1, 1, tzinfo=UTC)},
    ):
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|row-level security"),
            Session(web) as session,
        ):
            session.execute(insert(AuditEntry).values(kind="signed in", **values))
