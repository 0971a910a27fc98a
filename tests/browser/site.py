"""A whole site for the browser: the real web server and the real worker, in a folder of its own."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import expect
from sqlalchemy import Delete, Update, delete, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.core import encryption
from belong_mail.core.db import make_engine, now
from belong_mail.core.decryption import worker_keys
from belong_mail.core.rate_limits import Limit, WorkerLimit
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.launcher import WORKER_ALONE
from belong_mail.pages import dev_mailbox
from belong_mail.pages.dev_mailbox import StoredMail
from tests.factories import group_named, plan_meeting
from tests.processes import run
from tests.servers.ports import free_port
from tests.servers.site import running
from tests.waiting import wait_until

PATIENCE = 60
LEAD = "lead@dpsk12.org"
SLUG = "the-village"
ISSUE = """# A heading

Hello, **everybody**. Come to [the library](https://library.example.org/).

- Tea
- Company

> A kind word.

| day | place |
|---|---|
| Tuesday | Room 4 |
"""


class Served:
    """A site that is served, and the mail that it has sent."""

    url: str
    database_url: str
    folder: Path

    def flask(self, *arguments: str) -> str:
        """Run a command of the operator's and return what it says."""
        raise NotImplementedError

    def mails(self) -> list[StoredMail]:
        """List all mail, the newest first."""
        raise NotImplementedError

    def words(self) -> bytes:
        raise NotImplementedError

    def add_members(self, number: int) -> None:
        """Add made-up members to the one group that the tests join."""
        self.flask("demo", "--group", SLUG, "--members", str(number))

    def send_newsletter(self, subject: str = "This month with us") -> None:
        """Send an issue to the members of the one group that the tests join."""
        file = self.folder / "issue.md"
        file.write_text(ISSUE)
        self.flask("newsletter", "send", SLUG, str(file), "--subject", subject)

    def plan_meetings(self, *plans: dict[str, Any]) -> None:
        with self.session() as session:
            for plan in plans:
                plan_meeting(session, **plan)

    def let_time_pass(self) -> None:
        """Bring the issues that wait for their time to it."""
        waiting = Newsletter.due_at.is_not(None) & Newsletter.queued_at.is_(None)
        self.execute(update(Newsletter).where(waiting).values(due_at=now()))

    def forget_limits(self) -> None:
        """Let everybody ask again as often as if nobody had asked before."""
        for table in (Limit, WorkerLimit):
            self.execute(delete(table))

    def execute(self, statement: Update | Delete) -> None:
        """Change rows, as if the product had."""
        with self.session() as session:
            session.execute(statement)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Begin a transaction of the test's own."""
        engine = make_engine(self.database_url)
        with Session(engine) as session, session.begin():
            yield session
        engine.dispose()

    def mails_to(self, address: str) -> list[StoredMail]:
        """List an address's mail, the newest first."""
        return [mail for mail in self.mails() if mail.recipient == address]

    def mail_to(self, address: str, number: int = 1) -> StoredMail:
        """Wait until an address has had so many mails, and return that one of them."""
        self.wait_for(lambda: len(self.mails_to(address)) >= number)
        return self.mails_to(address)[-number]

    def link_to(self, address: str, page: str) -> str:
        """Wait for a mail with a link to a page such as “sign-in”, and return the newest link."""
        self.wait_for(lambda: bool(self.links_to(address, page)))
        return self.links_to(address, page)[0]

    def links_to(self, address: str, page: str) -> list[str]:
        """List the links to a page that an address was mailed, the newest first."""
        return [link for mail in self.mails_to(address) for link in links_in(mail, page)]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        wait_until(condition, lambda: self.words().decode(), PATIENCE)


class Site(Served):
    """Starts within `with`; ends both processes when left."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._port = free_port()
        self.url = f"http://localhost:{self._port}"
        self.folder = folder
        self._mailbox = folder / "mailbox"
        self._ends = ExitStack()
        made = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in encryption.new_keys().items()}
        self.database_url = f"sqlite:///{folder / 'belong.db'}"
        self._environment = made | {
            "BELONG_BASE_URL": self.url,
            "BELONG_DATABASE_URL": self.database_url,
            "BELONG_SMTP_URL": "mailbox:",
            "BELONG_STATE_FOLDER": str(folder),
            "BELONG_VIDEO_URL": "https://video.example.org/belong",
            **settings,
        }

    def __enter__(self) -> Self:
        self.flask("db", "upgrade", "--seed", "dps")
        self._add_lead()
        blind = dict.fromkeys(WORKER_ALONE, "")
        served = running(self._environment, self.folder, self._port, for_web=blind)
        self.processes = self._ends.enter_context(served)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _add_lead(self) -> None:
        """Let somebody lead the group, who was not asked and gets no email of it."""
        private, index = (self._environment[f"BELONG_{kind}_KEYS"] for kind in ("PRIVATE", "INDEX"))
        keys = worker_keys((private,), (index,))
        with self.session() as session:
            group = group_named(session, SLUG)
            invitations.invite(session, keys, group, LEAD).name = "Kim, East"

    def flask(self, *arguments: str) -> str:
        done = run(self._environment, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def mails(self) -> list[StoredMail]:
        return dev_mailbox.newest_mails(self._mailbox, 500)

    def words(self) -> bytes:
        return self.processes.words()


def links_in(mail: StoredMail, page: str) -> list[str]:
    """List the links of a mail's text to a page such as “confirm”."""
    return re.findall(rf"https?://\S+/{page}/\S+", mail.text)


def link_in(mail: StoredMail, page: str) -> str:
    """Return the first of them."""
    return links_in(mail, page)[0]


def sign_in(page, site, address: str = LEAD) -> None:
    before = site.links_to(address, "sign-in")
    page.goto("/sign-in")
    page.fill("[name=email]", address)
    with page.expect_navigation():
        page.press("[name=email]", "Enter")
    site.wait_for(lambda: site.links_to(address, "sign-in") != before)
    page.goto(site.links_to(address, "sign-in")[0])
    page.locator("main form .button").first.click()
    expect(page).to_have_url(re.compile("/(lead|office)"))


def sign_out(page) -> None:
    page.goto("/account")
    page.get_by_role("button", name="Sign out", exact=True).last.click()
