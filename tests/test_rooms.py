"""What rooms declare reaches the worker: an email, a job or a kind of rows is entered once."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from belong_mail.core.db import Base
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.retention import Rule
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.retry import AWAITED, GIVE_UP_AFTER
from belong_mail.delivery.room import Room, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.ops import schema
from belong_mail.ops.grants import SENT_BY_THE_WEB
from belong_mail.ops.rooms import ALL, ROOMS, DeclaredTwice, joined

PACKAGE = Path(schema.__file__).parents[1]


def write_reply(_session: Session, _mailer: Mailer, _delivery: Delivery) -> Email:
    return Email("ada@dpsk12.org", "en")


def do_nothing(_session: Session, _keyring: Keyring, _job: Job) -> None:
    return


def do_with_mailer(_mailer: Mailer, _session: Session, _keyring: Keyring, _job: Job) -> None:
    return


def remove_none(_session: Session, _at: datetime) -> int:
    return 0


def test_all_that_a_room_declares_is_joined_with_what_others_do() -> None:
    column = WrappedColumn(Group.wrapped_mailbox, "groups.other", Group.public_id)
    one = Room(
        emails={"reply": write_reply},
        tasks={"answer": do_nothing},
        mailer_tasks={"forward": do_with_mailer},
        lookups=("answer",),
        retention={"replies": Rule(remove_none, ())},
        wrapped=(column,),
        short_lived={"replies.sealed": "replies; gone after a day"},
    )
    found = joined([*ROOMS, one])
    assert found.emails.keys() == ALL.emails.keys() | {"reply"}
    assert found.emails["reply"] is write_reply
    assert found.tasks.keys() == ALL.tasks.keys() | {"answer"}
    assert found.mailer_tasks.keys() == ALL.mailer_tasks.keys() | {"forward"}
    assert found.lookups == (*ALL.lookups, "answer")
    assert list(found.retention) == [*ALL.retention, "replies"]
    assert found.wrapped == (*ALL.wrapped, column)
    assert found.short_lived.keys() == ALL.short_lived.keys() | {"replies.sealed"}
    assert len(ALL.emails) >= 20


@pytest.mark.parametrize("kind", ["sign-in", "join"])
def test_no_room_takes_a_kind_of_anothers(kind: str) -> None:
    other = Room(emails={"sign-in": write_reply}, tasks={"join": do_nothing})
    one = Room(emails={kind: write_reply}) if kind in ALL.emails else Room(tasks={kind: do_nothing})
    with pytest.raises(DeclaredTwice, match=kind):
        joined([one, other])


def test_every_rooms_declarations_are_joined() -> None:
    declaring = {file.parent.name for file in PACKAGE.glob("*/declarations.py")}
    lines = (PACKAGE / "ops/rooms.py").read_text().splitlines()
    assert declaring == {line.split(".")[1] for line in lines if ".declarations import" in line}
    assert len(ROOMS) == len(set(map(id, ROOMS))) == len(declaring)


def test_jobs_that_look_an_address_up_are_jobs() -> None:
    assert set(ALL.lookups) <= {*ALL.tasks, *ALL.mailer_tasks}
    assert len(ALL.lookups) == 11


def test_emails_that_the_pages_may_ask_for_are_emails() -> None:
    assert set(SENT_BY_THE_WEB) <= ALL.emails.keys() | ALL.copies.keys()


def test_times_of_delivery_are_those_of_emails_that_there_are() -> None:
    kinds = ALL.emails.keys() | {"newsletter"}
    assert set(AWAITED) | GIVE_UP_AFTER.keys() <= kinds


def test_every_age_of_retention_stands_in_one_module() -> None:
    declaring = [*PACKAGE.glob("*/declarations.py"), *PACKAGE.glob("*/retention.py")]
    with_ages = {file for file in declaring if "timedelta(" in file.read_text()}
    assert with_ages == {PACKAGE / "core/retention.py"}


def test_columns_that_are_not_wrapped_anew_are_columns() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
    }
    assert ALL.short_lived.keys() <= columns


def test_the_schema_alone_knows_every_table() -> None:
    code = "from belong_mail.ops.schema import Base; print(*Base.metadata.tables)"
    program = [sys.executable, "-c", code]
    known = subprocess.run(program, cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    tables = {
        line.split('"')[1]
        for file in PACKAGE.rglob("*.py")
        if "migrations" not in file.parts
        for line in file.read_text().splitlines()
        if line.strip().startswith("__tablename__ = ")
    }
    assert tables == set(known.stdout.split())
