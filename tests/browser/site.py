"""A whole site for the browser: the real web server and the real worker, in a folder of its own."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from belong_mail import keys
from belong_mail.mail.mailbox import Kept, Mailbox

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20
LEAD = "lead@dpsk12.org"
OFFICE = "dps-belong@example.org"
SLUG = "the-village"
WORKER_ALONE = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")
ISSUE = """# A heading

Hello, **everybody**. Come to [the library](https://library.example.org/).

- Tea
- Company

> A kind word.

| day | place |
|---|---|
| Tuesday | Room 4 |
"""


class Site:
    """Starts within `with`; stops both processes and waits for them when left."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self._folder = folder
        self._mailbox = Mailbox(folder / "mailbox")
        self._processes: list[subprocess.Popen[bytes]] = []
        outer = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        made = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in keys.new().items()}
        self._environment = outer | made | {
            "FLASK_SKIP_DOTENV": "1",
            "BELONG_BASE_URL": self.url,
            "BELONG_DATABASE_URL": f"sqlite:///{folder / 'belong.db'}",
            "BELONG_SMTP_URL": "mailbox:",
            "BELONG_STATE_FOLDER": str(folder),
            "BELONG_VIDEO_URL": "https://video.example.org/belong",
        }  # fmt: skip

    def __enter__(self) -> Self:
        self.flask("db", "upgrade")
        self.flask("lead", "invite", LEAD, "--group", SLUG)
        blind = self._environment | dict.fromkeys(WORKER_ALONE, "")
        self._start("web", "--port", str(self.port), environment=blind)
        self._start("worker", environment=self._environment)
        self.wait_for(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(PATIENCE)

    def flask(self, *arguments: str) -> str:
        """Run a command of the operator's and return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def send_newsletter(self, subject: str = "This month with us") -> None:
        """Send an issue to the members of the one group that the tests join."""
        file = self._folder / "issue.md"
        file.write_text(ISSUE)
        self.flask("newsletter", "send", SLUG, str(file), "--subject", subject)

    def mails(self) -> list[Kept]:
        """List all mail, the newest first."""
        return self._mailbox.newest(500)

    def mails_to(self, address: str) -> list[Kept]:
        """List an address's mail, the newest first."""
        return [mail for mail in self.mails() if mail.recipient == address]

    def mail_to(self, address: str, number: int = 1) -> Kept:
        """Wait until an address has had so many mails, and return that one of them."""
        self.wait_for(lambda: len(self.mails_to(address)) >= number)
        return self.mails_to(address)[-number]

    def sign_in_mails(self) -> list[Kept]:
        """List the lead's links to sign in, the newest first."""
        return [mail for mail in self.mails_to(LEAD) if "/sign-in/" in mail.text]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def said(self) -> str:
        """Return what web and worker wrote to their output."""
        return "".join(file.read_text() for file in sorted(self._folder.glob("*.log")))

    def _start(self, *command: str, environment: dict[str, str]) -> None:
        with (self._folder / f"{command[0]}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", *command],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


def link_in(mail: Kept, page: str) -> str:
    """Return the link of a mail's text to a page such as “confirm”."""
    found = re.search(rf"https?://\S+/{page}/\S+", mail.text)
    assert found is not None, mail.text
    return found[0]
