"""Make a database of a released schema by that schema's own code; how `schemas/` came to be.

    git archive COMMIT | tar x -C FOLDER
    cd FOLDER && python .../tests/upgrades/make.py .../tests/upgrades/schemas/NNNN-COMMIT.sql.gz

A worker of the old code has read one request to join, and has frozen and claimed an issue for a
relay that was away; another request, another issue's time and a lead's account stand as they were
written. Keys are made for this alone, addresses are examples. From 0036 on rooms have the names of
today, and whoever is invited to lead waits for an email, too.
"""

import gzip
import os
import sqlite3
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import time_machine

# When each schema is made, whenever that is: what waits in it expires.
MADE_AT = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
KEYS = {
    line.partition("=")[0]: line.partition("=")[2]
    for line in Path(__file__).with_name("keys").read_text().splitlines()
}
MEMBERS = ("carmen@dpsk12.org", "dinh@dpsk12.org", "esther@dpsk12.org")
READ, UNREAD, LEAD = "ada@dpsk12.org", "ben@dpsk12.org", "lead@dpsk12.org"
VILLAGE = "the-village"
TEXT = "Hello, **everybody**.\n\nCome to the [library](https://library.example.org/x)."


def module(name: str) -> Any:
    return import_module(f"belong_mail.{name}")


def environment(folder: Path) -> dict[str, str]:
    settings = {
        **KEYS,
        "BELONG_BASE_URL": "http://localhost:5000",
        "BELONG_DATABASE_URL": f"sqlite:///{folder}/old.db",
        "BELONG_SMTP_URL": "smtp://127.0.0.1:9?tls=none",
        "BELONG_STATE_FOLDER": f"{folder}/state",
    }
    known = Path("config.py").read_text()
    return {name: value for name, value in settings.items() if name[7:].lower() in known}


def fill(folder: Path) -> None:
    """Let people join, an issue begin, and a worker find no relay."""
    app = module("app").create_app(import_module("config").Config.read(environment(folder)))
    parts = app.extensions["belong"]
    module("schema").upgrade(parts.writing.kw["bind"])
    receiving, service = module("subscriptions.receiving"), module("subscriptions.service")
    newsletters, groups = module("newsletters.service"), module("groups.service")
    keys = module("opening").worker_keys(parts.settings.private_keys, parts.settings.index_keys)
    keyring = receiving.Keyring(*keys)
    at = datetime.now(UTC)
    with parts.writing.begin() as session:
        groups.seed(session)
        village = groups.find(session, VILLAGE)
        for address in MEMBERS:
            member = receiving.start(session, keyring, village, wanted(service, address))
            member.confirmed_at = at
        session.flush()
        module("accounts.inviting").invite(session, keyring.opener, keyring.index, village, LEAD)
        newsletters.queue(session, newsletters.draft(session, village, "Begun", TEXT))
    module("worker").make_worker(parts, keyring).drain()
    with parts.writing.begin() as session:
        village = groups.find(session, VILLAGE)
        service.ask(session, parts.sealer, village, wanted(service, READ), at)
    module("worker").make_worker(parts, keyring).drain()
    with parts.writing.begin() as session:
        village = groups.find(session, VILLAGE)
        service.ask(session, parts.sealer, village, wanted(service, UNREAD), at)
        newsletters.draft(session, village, "Planned", TEXT).due_at = at.replace(year=2125)
    parts.writing.kw["bind"].dispose()


def fill_rooms(folder: Path) -> None:
    """Do the same by the verbs that the rooms have since 0036."""
    config = import_module("config").Config.read(environment(folder))
    services, decryption = module("core.services").make_services(config), module("core.decryption")
    module("ops.schema").upgrade(services.engine)
    keyring = decryption.Keyring(*decryption.worker_keys(config.private_keys, config.index_keys))
    newsletters, groups = module("newsletters.service"), module("groups.service")
    with services.writing.begin() as session:
        groups.seed(session)
        village = groups.find(session, VILLAGE)
        for address in MEMBERS:
            member = module("members.tasks").start_subscription(
                session, keyring, village, signup(address)
            )
            member.confirmed_at = datetime.now(UTC)
        session.flush()
        module("accounts.invitations").ask_to_lead(
            session, keyring.opener, keyring.index, village, LEAD
        )
        newsletters.queue(session, newsletters.draft(session, village, "Begun", TEXT))
    module("worker.loop").make_worker(services, keyring).drain()
    ask(services, READ)
    module("worker.loop").make_worker(services, keyring).drain()
    ask(services, UNREAD)
    with services.writing.begin() as session:
        planned = newsletters.draft(session, groups.find(session, VILLAGE), "Planned", TEXT)
        planned.due_at = MADE_AT.replace(year=2125)
    services.engine.dispose()


def ask(services: Any, address: str) -> None:
    with services.writing.begin() as session:
        village = module("groups.service").find(session, VILLAGE)
        module("members.service").ask_to_join(
            session, services.sealer, village, signup(address), datetime.now(UTC)
        )


def signup(address: str) -> Any:
    return module("members.service").SignupData(
        address=address, language="en", first_name=address.partition("@")[0]
    )


def wanted(service: Any, address: str) -> Any:
    return service.Wanted(address=address, language="en", first_name=address.partition("@")[0])


def main(target: Path) -> None:
    sys.path.insert(0, str(Path.cwd()))
    with TemporaryDirectory() as name:
        (Path(name) / "old.db").touch()
        os.umask(0o077)
        has_rooms = Path("belong_mail/core").is_dir()
        with time_machine.travel(MADE_AT):
            (fill_rooms if has_rooms else fill)(Path(name))
        with sqlite3.connect(Path(name) / "old.db") as database:
            dump = "\n".join(database.iterdump()) + "\n"
        target.write_bytes(gzip.compress(dump.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
