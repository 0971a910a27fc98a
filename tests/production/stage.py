"""The production stage: nginx, web, worker and a relay under TLS, installed by the guide."""

import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import quote

from belong_mail.pages.dev_mailbox import StoredMail
from tests.browser.site import Served
from tests.browser_client import Visitor, html_of, text_of
from tests.dev.checkout import is_alive
from tests.production import nginx
from tests.production.installation import Installation
from tests.production.units import WORKER, Unit, User, give
from tests.servers.desk import Accepted
from tests.servers.ports import free_port
from tests.servers.site import Browser
from tests.servers.smtp import Server
from tests.servers.tls import Authority
from tests.waiting import daemon

USER, PASSWORD = "belong", "pa55/w0rd"
SECONDS_TO_END = 60
# Chromium's headers with a form of a page that forbids a Referer: no origin either.
OUR_OWN_FORM = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


class Stage(Served):
    """Starts within `with`; ends all of it when left."""

    def __init__(self, postgresql: str = "") -> None:
        self._ends = ExitStack()
        folder = tempfile.mkdtemp(prefix="belong-stage-")
        self._ends.callback(shutil.rmtree, folder)
        self.folder = Path(folder)
        self.folder.chmod(0o755)
        self.port, self.plain_port, self.web_port = free_port(), free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        self.authority = Authority.make(self.folder)
        self.database_url = postgresql or f"sqlite:///{self.folder}/var/lib/belong-mail/belong.db"
        self.installation = Installation(self.folder, self._values())
        self.surroundings = self.installation.surroundings
        self.log = self.folder / "log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _values(self) -> dict[str, str]:
        """Return an operator's values for the files that we ship."""
        sqlite = f"BELONG_DATABASE_URL=sqlite:///{self.folder}/var/lib/belong-mail/belong.db"
        return {
            "https://belong.example.org": self.url,
            "belong.example.org": "localhost",
            "BELONG_ALLOWED_DOMAINS=example.org": "BELONG_ALLOWED_DOMAINS=dpsk12.org",
            "belong-worker belong db upgrade": "belong-worker belong db upgrade --seed dps",
            sqlite: f"BELONG_DATABASE_URL={self.database_url}",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "127.0.0.1:5000": f"127.0.0.1:{self.web_port}",
            "--port 5000": f"--port {self.web_port}",
        }

    def __enter__(self) -> Self:
        with self._ends.pop_all() as ends:
            context, users = self.authority.server(), {USER: PASSWORD}
            self.relay = ends.enter_context(Server(tls="starttls", context=context, users=users))
            name = f"{USER}:{quote(PASSWORD, safe='')}"
            query = f"ca={self.authority.file}&timeout=20&dot_timeout=90"
            self.installation.make(f"smtp://{name}@localhost:{self.relay.port}?{query}")
            self.log.mkdir()
            ends.callback(self._kill)
            ends.enter_context(self._nginx())
            self.start("web")
            self.start("worker")
            self.wait_for(lambda: self.visitor().open("/readyz").status_code == 200)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._ends:
            assert self.end("worker") == 0, self.words().decode()

    def visitor(self, port: int = 0) -> Visitor:
        context = ssl.create_default_context(cafile=self.authority.file)
        return Visitor(Browser(port or self.port, context, keeps_cookies=True), {**OUR_OWN_FORM})

    def unit(self, name: str) -> Unit:
        services = self.folder / "etc" / "systemd" / "system"
        return Unit(services / f"belong-{name}.service")

    def start(self, name: str) -> None:
        log = self.log / f"{name}.log"
        self.processes[name] = self.unit(name).start(self.surroundings, log)

    def end(self, name: str) -> int:
        self.processes[name].terminate()
        return self.processes[name].wait(SECONDS_TO_END)

    def kill(self, name: str) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def pids(self, name: str) -> list[int]:
        """List a service's processes, by id: each is in the group of the first."""
        group, found = self.processes[name].pid, []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(ProcessLookupError):
                if os.getpgid(int(folder.name)) == group and is_alive(int(folder.name)):
                    found.append(int(folder.name))
        return found

    def _kill(self) -> None:
        """Leave nothing behind, not even of one that has lost its first process."""
        for name in self.processes:
            self.kill(name)

    def _nginx(self) -> AbstractContextManager[object]:
        folder, tls = self.folder / "nginx", self.folder / "etc" / "ssl" / "belong"
        folder.mkdir()
        tls.mkdir(parents=True)
        pair = self.authority.leaf()
        for name in ("certificate.pem", "key.pem"):
            shutil.copy(pair, tls / name)
            give(tls / name, "nginx")
        for place in (folder, self.installation.logs):
            give(place, "nginx")
        main = folder / "nginx.conf"
        etc = self.folder / "etc" / "nginx"
        main.write_text(nginx.MAIN.format(folder=folder, logs=self.installation.logs, etc=etc))
        options = ["-p", str(folder), "-c", str(main), "-e", str(folder / "log")]
        command, log = [nginx.PATH or "nginx", *options], self.log / "nginx.log"
        env, user = self.surroundings, User("nginx").options()
        return daemon(*command, ports=(self.port,), log=log, env=env, **user)

    def flask(self, *arguments: str) -> str:
        """Run a command of the operator's as the worker's user does."""
        done = WORKER.run(
            [str(self.installation.programs / "belong"), *arguments], self.surroundings
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def mails(self) -> list[StoredMail]:
        return [_kept(number, each) for number, each in enumerate(self.relay.accepted)][::-1]

    def words(self) -> bytes:
        return b"\n".join(file.read_bytes() for file in sorted(self.log.glob("*.log")))


def _kept(number: int, mail: Accepted) -> StoredMail:
    message = mail.message
    return StoredMail(
        name=str(number),
        received_at=datetime.fromtimestamp(mail.at, UTC),
        recipient=mail.recipient,
        subject=str(message["Subject"] or ""),
        sender=str(message["From"] or ""),
        text=text_of(message).replace("\r\n", "\n"),
        html=html_of(message),
        source=mail.data.decode("utf-8", "replace"),
    )
