"""Make a database of the newest step, by the code of today: what later versions upgrade from.

    python -m tests.migrations.make

It writes `STEP.sql.gz` here, once before each release, and `STEP.postgresql.gz`: the statements
that make the same tables there, for the same rows. A relay that is away has left an issue begun and
emails queued; requests that no worker has read and the time of another issue stand as they were
written. Keys are made for this alone, addresses are examples.
"""

import gzip
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import time_machine
from sqlalchemy import event

from belong_mail.accounts import invitations
from belong_mail.core.db import make_engine
from belong_mail.core.decryption import worker_keys
from belong_mail.core.environment import NEWEST_REVISION
from belong_mail.core.services import make_services
from belong_mail.groups import service as groups
from belong_mail.members import service as members
from belong_mail.members.jobs import Join, SendMyGroups, Signup, WaitForGroup
from belong_mail.newsletters import service as newsletters
from belong_mail.ops import schema
from belong_mail.worker.loop import Worker
from config import Config
from tests.factories import group_named, make_member, plan_meeting, queue_issue
from tests.postgres import postgresql

FOLDER = Path(__file__).parent
# When a database is made, whenever that is: what waits in it expires.
MADE_AT = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
KEYS = {
    line.partition("=")[0]: line.partition("=")[2]
    for line in (FOLDER / "keys").read_text().splitlines()
}
MEMBERS = ("carmen@dpsk12.org", "dinh@dpsk12.org", "esther@dpsk12.org")
LEAD = "lead@dpsk12.org"
# Gets a copy of the issue.
OFFICE = "dps-belong@example.org"
# Both asked to join; a worker has read what the first one typed.
READ, UNREAD = "ada@dpsk12.org", "ben@dpsk12.org"
# Waits for a group that has not started, and asked for the list of their groups.
WAITING = "fay@dpsk12.org"
VILLAGE, UPCOMING = "the-village", "autoimmune"


def fill(folder: Path) -> None:
    """Let people join, an issue begin, and a worker find no relay."""
    services = make_services(
        Config.read(
            {
                **KEYS,
                "BELONG_BASE_URL": "http://localhost:5000",
                "BELONG_DATABASE_URL": f"sqlite:///{folder}/made.db",
                "BELONG_SMTP_URL": "smtp://127.0.0.1:9?tls=none",
                "BELONG_STATE_FOLDER": f"{folder}/state",
            }
        )
    )
    schema.upgrade(services.engine)
    settings = services.settings
    keyring = worker_keys(settings.private_keys, settings.index_keys)
    with services.writing.begin() as session:
        groups.seed(session)
        village = group_named(session, VILLAGE)
        for address in MEMBERS:
            make_member(session, keyring, address)
        invitations.ask(session, keyring, village, LEAD)
        plan_meeting(session)
        queue_issue(session, subject="Begun")
    ask_to_join(services, VILLAGE, READ)
    ask_to_join(services, UPCOMING, WAITING, WaitForGroup)
    drain(services, keyring)
    with services.writing.begin() as session:
        planned = newsletters.draft(session, group_named(session, VILLAGE), "Planned", "Later.")
        planned.due_at = MADE_AT.replace(year=2125)
        SendMyGroups(WAITING, "en").ask(session, services.sealer)
    ask_to_join(services, VILLAGE, UNREAD)
    services.engine.dispose()


def drain(services, keyring) -> None:
    worker = Worker(services, keyring)
    worker.drain()
    worker.engine.close()


def ask_to_join(services, slug: str, address: str, job: type[Signup] = Join) -> None:
    typed = job(address=address, language="en", first_name=address.partition("@")[0])
    with services.writing.begin() as session:
        group = group_named(session, slug)
        members.ask_to_join(session, services.sealer, group, typed, datetime.now(UTC))


def tables_of_postgresql() -> str:
    """Return the statements that make a new database there."""
    said: list[str] = []
    with postgresql() as url:
        engine = make_engine(url)
        event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2].strip()))
        schema.upgrade(engine)
        engine.dispose()
    return ";\n".join(each for each in said if each.startswith("CREATE"))


def keep(name: str, words: str) -> None:
    (FOLDER / name).write_bytes(gzip.compress(words.encode(), mtime=0))


def main() -> None:
    with TemporaryDirectory() as name:
        file = Path(name) / "made.db"
        os.umask(0o077)
        with time_machine.travel(MADE_AT):
            fill(Path(name))
        with sqlite3.connect(file) as database:
            keep(f"{NEWEST_REVISION}.sql.gz", "\n".join(database.iterdump()) + "\n")
    keep(f"{NEWEST_REVISION}.postgresql.gz", tables_of_postgresql())


if __name__ == "__main__":
    main()
