"""At every door a guess is heard and counted, whatever the web's role writes into any column."""

from contextlib import suppress
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import (
    delete,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session

from belong_mail.accounts.invitations import invite
from belong_mail.accounts.right_tasks import NAME_CHARACTERS
from belong_mail.contact import service as contact
from belong_mail.core import jobs
from belong_mail.core.db import Base, now
from belong_mail.core.jobs import Job
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.imports import ASKED_TODAY
from belong_mail.members.models import Subscription
from belong_mail.ops.grants import WEB
from tests.browser_client import text_of
from tests.factories import group_named, let_work_for_office, make_member
from tests.markers import night, on_postgresql, periodic_tasks
from tests.privacy.changes import (
    ASIDE,
    AT_DOORS,
    CHANGES,
    UNFILLED,
    Change,
    extremes,
    kind_of,
    make_up,
)
from tests.privacy.doors import DOORS, EVE, INBOX, OFFICE, OTHER, guess, used
from tests.scenario import VILLAGE, Scenario
from tests.web_role import role_of

pytestmark = periodic_tasks

# By door, who has to hear when a guess leaves a row: who is known there, and who is new. Members of
# an imported list hear nothing; the operator does.
HEARD = dict.fromkeys(DOORS, ("known", "new")) | {
    "sign-in": ("known",),
    "office-removal": ("known",),
    "returned": ("known",),
    "import": ("new",),
}
TELLING = (
    "accounts", "address_changes", "manage_sessions", "pending_confirmations", "sign_ins",
    "subscriptions",
)  # fmt: skip
# Doors where the worker decides in a task beside reading requests.
LATER = {"interest": "Nobody is told of a start", "import": "Nobody of a list is asked"}
# What the guess itself is written into, but for the columns that make it one.
OF_A_GUESS = ("jobs", "imports", "import_batches", "contact_messages")
WITHOUT_GUESS = ("kind", "sealed")


def as_the_web(session) -> None:
    engine = session.get_bind().engine
    if engine.dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL ROLE {role_of(str(engine.url))}"))


def spoil(scenario, changes: list[Change], which: int) -> None:
    """Make each change by the web's role, to the least (0) or to the most (1)."""
    with Session(scenario.engine) as session, session.begin():
        as_the_web(session)
        for change in changes:
            with suppress(SQLAlchemyError, TypeError, AttributeError), session.begin_nested():
                _make(session, change, which)


def _make(session, change: Change, which: int) -> None:
    table, rows = Base.metadata.tables[change.table], dict(WEB[change.table].rows)
    if change.verb == "delete":
        if which:
            session.execute(delete(table).where(text(rows.get("DELETE", "true"))))
        return
    value = extremes(table.columns[change.column], session.get_bind().dialect.name)[which]
    write(session, change, value)


def write(session, change: Change, value: object) -> None:
    if change.verb == "insert":
        make_up(session, change.table, **{change.column: value})
    else:
        changed = update(Base.metadata.tables[change.table])
        session.execute(changed.values({change.column: value}))


def guess_by_extremes(
    scenario, door: str, addresses: list[str], changes: list[Change], which: int
) -> set[tuple[str, int]]:
    """Write down guesses whose own rows hold extremes where the web fills them; list the rows."""
    before = ids_in(scenario, *OF_A_GUESS)
    for address in addresses:
        guess(scenario, door, address)
    made = ids_in(scenario, *OF_A_GUESS) - before
    for change in changes:
        if change.verb != "insert" or change.table not in OF_A_GUESS:
            continue
        table, column = Base.metadata.tables[change.table], change.column
        if column in WITHOUT_GUESS or table.c[column].foreign_keys:
            continue
        own = table.c.id.in_([number for name, number in made if name == change.table])
        value = extremes(table.c[column], scenario.engine.dialect.name)[which]
        with suppress(SQLAlchemyError), scenario.services.writing.begin() as session:
            session.execute(update(table).where(own).values({column: value}))
    return made


def ids_in(scenario, *names: str) -> set[tuple[str, int]]:
    ids = (
        select(literal(name), table.c.id)
        for name, table in Base.metadata.tables.items()
        if name in names
    )
    with scenario.services.reading.begin() as session:
        return {(row[0], row[1]) for row in session.execute(union_all(*ids))}


def rows_that_tell(scenario) -> set[tuple[str, int]]:
    """List them; the email of a contact message tells nothing of who wrote it."""
    found = select(Delivery.id, Delivery.kind == contact.KIND, Delivery.state == State.BOUNCED)
    with scenario.services.reading.begin() as session:
        deliveries = list(session.execute(found))
    rows = {("deliveries", number) for number, is_message, _ in deliveries if not is_message}
    rows |= {("returned", number) for number, _, is_returned in deliveries if is_returned}
    return rows | ids_in(scenario, *TELLING)


def answer(scenario, door: str) -> None:
    """Let the worker decide on the guesses of a door; what it emails is not written yet."""
    _, tasks = scenario.worker.read_jobs()
    if door == "interest":
        _, tasks = scenario.worker.read_jobs()
    if (task := tasks.get(LATER.get(door, ""))) is not None:
        task()


def is_heard(scenario, door: str, address: str) -> bool:
    """Tell whether a guess was emailed: to its person, or to the office about an invitation."""
    if door == "invite":
        names = address.partition("@")[0], "z" * NAME_CHARACTERS  # the web may have changed it
        told = [text_of(mail) for mail in scenario.relay.to(INBOX)]
        return any(name in words for name in names for words in told)
    own = (mail for mail in scenario.relay.to(address) if mail["List-Id"] is None)
    return any(door != "sign-in" or "/sign-in/" in text_of(mail) for mail in own)


def failed_jobs(scenario) -> set[tuple[str, int]]:
    """List what could not be read; a count of the web's own making is far from these."""
    with scenario.services.reading.begin() as session:
        failed = select(Job.id).where(Job.failures.between(1, jobs.MAX_FAILURES))
        return {("jobs", number) for number in session.scalars(failed)}


def person(door: str, who: str, which: int) -> str:
    return f"{who}-{door}-{which}@dpsk12.org"


@pytest.fixture
def scene(scenario) -> Scenario:
    """Everybody who is guessed, a colleague of the office, and the intruder, who is a member."""
    guess(scenario, "join", EVE)
    scenario.worker.drain()
    keys = scenario.keyring
    with scenario.services.writing.begin() as session:
        session.execute(update(Subscription).values(confirmed_at=now()))
        let_work_for_office(session, keys, OFFICE)
        group = group_named(session, VILLAGE)
        group.allows_personal_addresses = True
        group.established_at = now() - timedelta(days=1)
        for door, which in product(DOORS, (0, 1)):
            known = person(door, "known", which)
            if door == "email-again":
                suppressions.suppress(session, keys.index, known)
            elif door in {"sign-in", "invite"}:
                led = group if door == "sign-in" else group_named(session, OTHER)
                invite(session, keys, led, known)
            else:
                make_member(session, keys, known)
    return scenario


def require_loud(scenario, changes: list[Change], rounds: int = 1) -> None:
    """Try each door with extremes before and after the worker decides; then the other way round.

    A guessed person is emailed, or no row tells the guess apart; what is looked up is counted.
    """
    spoil(scenario, changes, 0)
    for which in range(rounds):
        made = {}
        for door in DOORS:
            counter = ASKED_TODAY if door == "import" else jobs.DAY
            before, counted = rows_that_tell(scenario), used(scenario, counter)
            both = [person(door, who, which) for who in ("known", "new")]
            guesses = guess_by_extremes(scenario, door, both, changes, which)
            answer(scenario, door)
            made[door] = rows_that_tell(scenario) - before
            assert used(scenario, counter) > counted or guesses <= ids_in(scenario, *OF_A_GUESS)
            assert not guesses & failed_jobs(scenario), door  # perhaps only for known ones
        spoil(scenario, changes, 1 - which)
        scenario.worker.drain()
        for door, rows in made.items():
            for who in HEARD[door]:
                assert is_heard(scenario, door, person(door, who, which)) or not rows, (door, who)


def test_each_column_that_the_web_may_write_has_an_entry():
    """Whoever lets the web write a column says here whether a door depends on its table."""
    granted = {
        (table, verb, column)
        for table, rights in WEB.items()
        for verb, columns in (
            ("update", rights.update.split()),
            ("delete", [""] if rights.may_delete else []),
            ("insert", rights.insert.split()),
        )
        for column in columns
    }
    assert set(CHANGES) == granted
    filled = {(change.table, change.column) for change in CHANGES if change.verb == "insert"}
    tables = {name: Base.metadata.tables[name].columns for name, _ in filled}
    every = {(name, each.name) for name, columns in tables.items() for each in columns}
    assert {each for each in every - filled if each[1] != "id"} == UNFILLED


def test_a_row_is_made_up_in_each_table_that_the_web_fills(scene):
    """Else the extremes below would try nothing."""
    for table in sorted({change.table for change in CHANGES if change.verb == "insert"}):
        with Session(scene.engine) as session, session.begin():
            as_the_web(session)
            make_up(session, table)
        assert scene.rows(table), table


@on_postgresql
def test_the_web_writes_no_row_that_is_too_long_to_be_read_with_others(scene):
    """Half a gigabyte in one would make whatever reads all of them fail."""
    for table in {change.table for change in CHANGES if change.verb == "insert"}:
        with Session(scene.engine) as session, session.begin():
            make_up(session, table)
    for change in (each for each in CHANGES if each.verb != "delete"):
        octets = WEB[change.table].octets
        letters = "x" * 2 * octets
        values = {str: letters, bytes: b"x" * octets, object: {"en": letters}}
        kind = kind_of(Base.metadata.tables[change.table].c[change.column])
        if kind in values:
            with Session(scene.engine) as session:
                as_the_web(session)
                with pytest.raises(ProgrammingError, match="row-level security"):
                    write(session, change, values[kind])


@on_postgresql
def test_no_row_grows_too_long_by_values_that_are_compressed(scene):
    """PostgreSQL keeps a letter again and again in little room: column by column, or in a copy."""
    columns = [Change("meetings", "update", each) for each in ("place", "link", "contact")]
    part, long = ("x" * (WEB[name].octets * 3 // 4) for name in ("meetings", "images"))
    copied = select(Base.metadata.tables["images"].c.description).scalar_subquery()
    with Session(scene.engine) as session:
        as_the_web(session)
        make_up(session, "meetings")
        make_up(session, "images", description=long)
        for change in columns[:2]:
            write(session, change, part)
        for value in (part, copied):
            with (
                pytest.raises(ProgrammingError, match="row-level security"),
                session.begin_nested(),
            ):
                write(session, columns[2], value)


@pytest.mark.parametrize("table", AT_DOORS)
def test_extreme_values_in_one_table_hide_no_guess(table, scene):
    require_loud(scene, [change for change in CHANGES if change.table == table])


def test_extreme_values_in_tables_that_no_door_reads_hide_no_guess(scene):
    """But for a report, which finds nobody but whom we wrote to."""
    require_loud(scene, [change for change in CHANGES if change.table in ASIDE])
    guesses = [(door, who) for door, people in HEARD.items() for who in people]
    silent = [guess for guess in guesses if not is_heard(scene, guess[0], person(*guess, 0))]
    assert silent == [("returned", "known")]


@night("by table runs each day")
@pytest.mark.parametrize("change", CHANGES, ids="-".join)
def test_extreme_values_in_one_column_hide_no_guess(change, scene):
    require_loud(scene, [change], 2)
