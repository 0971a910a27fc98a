"""A canary goes through every journey of a real site, and everything it left is gathered."""

import re
from dataclasses import dataclass, field, replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, type_coerce, update

from belong_mail.app import create_app
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.newsletters.models import Newsletter
from config import Config
from tests.browser_client import Form, Visitor, link_to
from tests.crawl import bare
from tests.db_dump import Dump, dump_of
from tests.factories import launch_an_hour_ago, queue_issue
from tests.inbound.mail import SPAM, UNKNOWN, bounce, hand_back
from tests.servers.site import Site, running
from tests.servers.smtp import Accepted
from tests.waiting import wait_until

CANARY = "Kanarienvogel.Q7x@dpsk12.org"
FIRST_NAME = "Zilpzalpina"
ANSWER = "Wolkenkuckucksheim 417"
MESSAGE = "Quittenmarmelade im Regenschirmladen"
WRITER = "Federleicht Goldammer"
# Words of a writer who gives no address.
NAMELESS = "Pfefferminzpastillen im Musikpavillon"
WORDS = (CANARY, CANARY.partition("@")[0], FIRST_NAME, ANSWER, MESSAGE, WRITER)

# A group whose form asks for words.
MAIN = "asian"
BYSTANDER = "Bystander@dpsk12.org"
WANDERER = "Wandervogel.Z3k@dpsk12.org"
# One person's address before and after; the canary's journeys go on beside them.
WANDERER_NEW = "Zugvogel.P9w@dpsk12.org"
# Somebody who waits for a group to start.
WAITING = "Zaungast.K4v@dpsk12.org"
LEAD = "leitvogel@dpsk12.org"
ISSUE = "Tea on Friday"
INBOX = "dps-belong@example.org"
# Why mails to the canary come back.
WHY = (SPAM, UNKNOWN)
WEB_KEYS = ("BELONG_SECRET_KEYS", "BELONG_PUBLIC_KEYS")
WORKER_KEYS = ("BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS")


@dataclass
class Evidence:
    """Everything that others could look at afterwards."""

    environment: dict[str, str]
    # The tables, after each step.
    rows: list[Dump] = field(default_factory=list)
    # The state folder's and the database's own files, after each journey; each state of one once.
    files: set[bytes] = field(default_factory=set)
    logs: bytes = b""
    urls: list[str] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)
    mails: list[Accepted] = field(default_factory=list)
    # Receipt codes that a page has shown.
    codes: list[str] = field(default_factory=list)
    # Cookies of a signed-in lead's browser, request by request.
    cookies: list[str] = field(default_factory=list)
    # Environment and command line of each process of the web server.
    web_memory: list[bytes] = field(default_factory=list)

    @property
    def tables(self) -> bytes:
        """Every value of every row that there ever was, once, as bytes."""
        return b"\n".join(set(cells_of(self.rows)))

    def to(self, address: str) -> list[EmailMessage]:
        return [message_of(mail) for mail in self.mails if mail.recipient == address]


def message_of(mail: Accepted) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(mail.data)


def cells_of(rows: list[Dump]) -> list[bytes]:
    return [
        cell if isinstance(cell, bytes) else str(cell).encode()
        for dump in rows
        for table in dump.values()
        for row in table
        for cell in row
        if cell is not None
    ]


class Walk:
    """The journeys, one after the other, on a running site."""

    def __init__(self, site: Site, relay, services, evidence) -> None:
        self.site, self.relay, self.services, self.evidence = site, relay, services, evidence
        self.visitor = Visitor(site.browser)

    def note(self) -> None:
        self.evidence.rows.append(dump_of(self.services))

    def keep_files(self) -> None:
        """Keep the bytes of the database's own files and of all the state there is."""
        url = self.services.settings.database_url
        files = [file for file in self.services.settings.state_folder.rglob("*") if file.is_file()]
        if url.startswith("sqlite:///"):
            database = Path(url.removeprefix("sqlite:///"))
            files += database.parent.glob(f"{database.name}*")
        self.evidence.files |= {file.read_bytes() + file.name.encode() for file in files}

    def mail(self, address: str, count: int) -> EmailMessage:
        """Wait until an address has had so many mails; return the last."""
        wait_until(lambda: len(self.relay.to(address)) >= count)
        self.note()
        return self.relay.to(address)[count - 1]

    def join(self, slug: str, address: str, **typed: Any) -> None:
        answer = self.visitor.join(slug, address, **typed)
        assert answer.status_code == 303, re.findall("<p class=.error.*", answer.text)
        self.note()

    def press(self, url: str, **fields: Any) -> str:
        self.visitor.open(url)
        answer = self.visitor.follow(url, **fields)
        assert answer.status_code in {200, 204}, answer.status_code
        self.note()
        return answer.text

    def all(self) -> None:
        for journey in (
            self.join_and_confirm,
            self.newsletter_leave_and_undo,
            self.my_groups,
            self.tell_me,
            self.not_me,
            self.come_back,
            self.bounce,
            self.mistakes,
            self.contact,
        ):
            journey()
            self.keep_files()

    def join_and_confirm(self) -> None:
        self.join(MAIN, BYSTANDER)
        self.press(link_to(self.mail(BYSTANDER, 1), "confirm"))
        typed = {"first_name": FIRST_NAME, "question-1": ANSWER, "introduce_me": "y"}
        self.join(MAIN, CANARY, **typed)
        self.press(link_to(self.mail(CANARY, 1), "confirm"))
        self.mail(CANARY, 2)
        self.mail(LEAD, 1)
        self.join(MAIN, CANARY)
        self.mail(CANARY, 3)

    def newsletter_leave_and_undo(self) -> None:
        with self.services.writing.begin() as session:
            queue_issue(session, MAIN)
        self.mail(BYSTANDER, 3)
        issue = self.mail(CANARY, 4)
        left = self.press(link_to(issue, "leave"))
        undo = next(part for part in left.split('"') if "/undo" in part)
        self.press(undo)
        self.lead_writes_tests_and_releases()
        one_click = issue["List-Unsubscribe"].strip("<>")
        self.press(one_click, **{"List-Unsubscribe": "One-Click"})

    def lead_writes_tests_and_releases(self) -> None:
        """A lead signs in and looks at every page, with a member who must not show there."""
        seat = replace(self.site.browser, keeps_cookies=True)
        lead = Visitor(seat)
        lead.send("/sign-in", email=LEAD)
        lead.press(link_to(self.mail(LEAD, 2), "sign-in"))
        token = {"csrf_token": Form(lead.open("/lead/").text).fields["csrf_token"]}
        issue = lead.press(f"/lead/groups/{MAIN}/newsletters", **token).location
        written = lead.send(issue, subject=ISSUE, text="Dear {first_name}, come to tea.")
        assert written.status_code == 303
        lead.press(f"{issue}/test", **token)
        self.mail(LEAD, 3)
        assert lead.send(f"{issue}/release", when="1").status_code == 303
        lead.open(f"{issue}/sending")
        with self.services.writing.begin() as session:
            ours = type_coerce(Newsletter.subject, JSON)["en"].as_string() == ISSUE
            session.execute(update(Newsletter).where(ours).values(due_at=now()))
        self.mail(CANARY, 5)
        self.mail(INBOX, 2)
        for page in (f"{issue}/sending", "/lead/", f"/lead/groups/{MAIN}/page"):
            assert lead.open(page).status_code == 200, page
        lead.press("/sign-out", **token, everywhere="y")
        self.evidence.cookies += seat.given
        self.note()

    def my_groups(self) -> None:
        """Somebody copies, moves there and back again, and erases; then a lead writes."""
        self.join(MAIN, WANDERER)
        self.press(link_to(self.mail(WANDERER, 1), "confirm"))
        self.mail(WANDERER, 2)
        sheet = self.sheet(WANDERER, 3)
        self.visitor.press(f"{sheet}/copy")
        self.mail(WANDERER, 4)
        self.visitor.send(f"{sheet}/change-address", email=WANDERER_NEW)
        self.press(link_to(self.mail(WANDERER_NEW, 1), "change-address"))
        self.mail(WANDERER, 5)
        self.press(f"{self.sheet(WANDERER_NEW, 2)}/erase")
        self.mail(WANDERER_NEW, 3)
        self.visitor.send("/sign-in", email=LEAD)
        self.mail(LEAD, 4)

    def sheet(self, address: str, count: int) -> str:
        self.visitor.send("/my-groups", email=address)
        self.note()
        return bare(link_to(self.mail(address, count), "my-groups"))

    def tell_me(self) -> None:
        self.visitor.send("/groups/autoimmune/tell-me", email=WAITING)
        self.note()
        wait_until(lambda: bool(dump_of(self.services)["waitlist_entries"]))
        self.note()
        self.keep_files()
        with self.services.writing.begin() as session:
            launch_an_hour_ago(session, "autoimmune")
        self.mail(WAITING, 1)

    def not_me(self) -> None:
        self.join("citizens-of-the-world", CANARY)
        self.press(link_to(self.mail(CANARY, 6), "not-me"), choice="forget")
        self.join("lgbtq", CANARY)

    def come_back(self) -> None:
        """Reports of mail servers quote the address; one lays the blame on us, which is logged."""
        copies = [each for each in self.relay.accepted if each.recipient == CANARY]
        for copy, why in zip(copies, WHY, strict=False):
            hand_back(self.services, copy.return_path, bounce(copy.return_path, CANARY, why))
            self.note()
            self.keep_files()
        wait_until(lambda: sum("bounced" in row for row in self._deliveries()) == len(WHY))

    def bounce(self) -> None:
        """The relay quotes the address in its refusal; then the person wants no mail at all."""
        asked = self.mail(CANARY, 7)
        words = f"550 5.1.1 <{CANARY}>: {CANARY} is unknown here"
        self.relay.always(f"RCPT {CANARY}", words)
        self.join("women-of-color", CANARY)
        wait_until(lambda: sum("bounced" in row for row in self._deliveries()) > len(WHY))
        self.press(link_to(asked, "not-me"), choice="never")
        self.join(MAIN, CANARY)
        wait_until(lambda: not dump_of(self.services)["jobs"])
        self.note()

    def mistakes(self) -> None:
        with self.services.writing.begin() as session:
            session.add(Job(kind="join", group_id=1, sealed=b"\x01 not sealed " + bytes(60)))
        foreign = CANARY.replace("dpsk12.org", "example.org")
        assert self.visitor.join(MAIN, foreign).status_code == 422
        for url in ("/confirm/x", "/nowhere", "/contact/received/AAAA-AAAA"):
            assert self.visitor.open(url).status_code == 404
        wait_until(lambda: b"cannot be read" in self.site.words())

    def contact(self) -> None:
        typed = {"name": WRITER, "email": CANARY, "message": MESSAGE, "topic": "need"}
        answer = self.visitor.send("/contact", **typed)
        self.note()
        self.keep_files()
        self.visitor.open(answer.location)
        self.mail(INBOX, 3)
        thanks = self.visitor.send("/contact", message=NAMELESS, topic="need").text
        [code] = re.findall("<code>([A-Z2-9-]{24})</code>", thanks)
        assert NAMELESS in self.visitor.send("/contact/answer", code=code).text
        self.evidence.codes.append(code)
        self.mail(INBOX, 4)
        self.keep_files()

    def _deliveries(self) -> list[tuple[object, ...]]:
        return dump_of(self.services)["deliveries"]


def gather(environment: dict[str, str], relay, folder: Path, port: int) -> Evidence:
    """Walk every journey and return what was left behind."""
    evidence = Evidence(environment)
    services: Services = create_app(Config.read(environment)).extensions["belong"]
    try:
        with running(environment, folder, port) as site:
            walk = Walk(site, relay, services, evidence)
            walk.all()
            for number in site.web_processes():
                for name in ("environ", "cmdline"):
                    evidence.web_memory.append(Path(f"/proc/{number}/{name}").read_bytes())
        walk.note()
    finally:
        services.writing.kw["bind"].dispose()
    evidence.logs = site.words()
    evidence.urls, evidence.pages = site.browser.visited, site.browser.pages
    evidence.mails = list(relay.accepted)
    return evidence
