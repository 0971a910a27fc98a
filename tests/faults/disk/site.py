"""The product in one process, on a SQLite file that is put back between two rounds."""

import gc
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine, update

from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.database_errors import NO_DATABASE
from belong_mail.core.db import create, make_engine, now
from belong_mail.core.decryption import worker_keys
from belong_mail.core.services import Services
from belong_mail.delivery.models import Lease
from belong_mail.groups import service as groups
from belong_mail.ops import schema
from belong_mail.worker.loop import Worker
from config import Config
from tests.browser_client import Visitor
from tests.database import execute
from tests.faults.scene import Scene

MEMBERS = 4
ENVIRONMENT = {
    "BELONG_ENV": "development",
    "BELONG_BASE_URL": "http://localhost:5000",
    "BELONG_UNCERTAIN": "0",
    "BELONG_COPY_TO_OFFICE": "no",
}


class Site:
    """An issue that waits for members, visitors who want to join, a worker, and a mail server."""

    def __init__(self, folder: Path, relay) -> None:
        self.file, self._blank = folder / "belong.db", folder / "blank"
        self._state = folder / "state"
        made = encryption.new_keys()
        relay_url = f"smtp://127.0.0.1:{relay.port}?tls=none&timeout=20&dot_timeout=20"
        environment = {
            **ENVIRONMENT,
            **{f"BELONG_{kind.upper()}_KEYS": key for kind, key in made.items()},
            "BELONG_DATABASE_URL": f"sqlite:///{self.file}",
            "BELONG_SMTP_URL": relay_url,
            "BELONG_STATE_FOLDER": str(self._state),
        }
        _migrate(environment["BELONG_DATABASE_URL"])
        self._app: Flask = create_app(Config.read(environment))
        services: Services = self._app.extensions["belong"]
        self._engine: Engine = services.writing.kw["bind"]
        with services.writing.begin() as session:
            groups.seed(session)
        keyring = worker_keys(services.settings.private_keys, services.settings.index_keys)
        self.scene = Scene(relay, environment, services, keyring)
        self.issue = self.scene.queue(MEMBERS)
        self._settle()
        shutil.copy(self.file, self._blank)
        gc.freeze()  # all that stands by now need not be looked through after each worker

    def put_back(self) -> None:
        """Begin anew: the database as it was at first, and no worker has been here."""
        self._engine.dispose()
        for leftover in self.file.parent.glob("belong.db*"):
            leftover.unlink()
        shutil.copy(self._blank, self.file)
        shutil.rmtree(self._state, ignore_errors=True)
        self.scene.relay.accepted.clear()

    def join(self, address: str) -> bool:
        """Ask to join; tell whether the page said that this was taken."""
        visitor = Visitor(self._app.test_client(use_cookies=False))
        answer = visitor.join("asian", address)
        assert answer.status_code in {303, 503}, answer.status
        return answer.status_code == 303

    def work(self) -> None:
        """Let a worker work until the disk stops it, or until nothing is due."""
        worker = Worker(self.scene.services, self.scene.keyring)
        for step in (worker.drain, worker.engine.close):
            _until_it_breaks(step)
        # As at the end of a process: the lock goes by which others see that it lives.
        worker.engine._lock._lock.close()
        del worker, step
        gc.collect()
        self.close()

    def end_leases(self) -> None:
        """Let a minute pass, after which others take over what a lost worker has in hand."""
        execute(self.scene.services, update(Lease).values(until=now() - timedelta(minutes=1)))

    def close(self) -> None:
        self._engine.dispose()

    def _settle(self) -> None:
        """Bring all that was written into the one file, and close it."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._engine.dispose()


def _until_it_breaks(step: Callable[[], None]) -> None:
    with suppress(*NO_DATABASE):
        step()


def _migrate(url: str) -> None:
    engine = make_engine(url)
    create(engine)
    schema.upgrade(engine)
    engine.dispose()
