"""Visitor, worker and mail server together, for scenarios that many tests share."""

from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import time_machine
from sqlalchemy import Engine, Executable, Select

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account, Right
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import SealedJob
from belong_mail.core.services import Services
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.members.service import split_confirmation_name
from belong_mail.members.wrapped_fields import find_by_address
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.rooms import purge_all
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, link_to
from tests.database import do, execute, query
from tests.db_dump import dump_of
from tests.factories import (
    group_named,
    launch_an_hour_ago,
    let_work_for_office,
    make_member,
    make_members,
    members_of,
    queue_at_once,
    queue_issue,
)
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"
VILLAGE = "the-village"
SOON = "autoimmune"
TELL_ME = f"/groups/{SOON}/tell-me"


def drain_in(worker, **ahead: float) -> None:
    """Let some time pass, and the worker do all that is due then."""
    with time_machine.travel(now() + timedelta(**ahead)):
        worker.drain()


@dataclass(frozen=True)
class Scenario:
    visitor: Visitor
    worker: Worker
    relay: Server
    services: Services
    keyring: Keyring

    def confirm_secret(self, link: str) -> str:
        """Return the secret of a confirmation's link, as the web sees it when it is opened."""
        token = link.rpartition("/")[2].partition("?")[0]
        return split_confirmation_name(self.services.tokens.read(Purpose.CONFIRM, token))[0]

    def mails(self, address: str = ADA) -> list[EmailMessage]:
        """Let the worker do all that is due, and return what an address has got so far."""
        self.worker.drain()
        return self.relay.to(address)

    def subjects(self, address: str = ADA) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails(address)]

    def ask(self, address: str = ADA, slug: str = VILLAGE, **typed: Any) -> EmailMessage:
        before = len(self.mails(address))
        assert self.visitor.join(slug, address, **typed).status_code == 303
        [mail] = self.mails(address)[before:]
        return mail

    def confirm_link(self, address: str = ADA, slug: str = VILLAGE, **typed: Any) -> str:
        return link_to(self.ask(address, slug, **typed), "confirm")

    def enter(self, address: str = ADA, slug: str = VILLAGE, **typed: Any) -> EmailMessage:
        link = self.confirm_link(address, slug, **typed)
        assert self.visitor.follow(link).status_code == 200
        return self.mails(address)[-1]

    def issue_to(
        self, address: str = ADA, slug: str = VILLAGE, language="en", **words: str
    ) -> EmailMessage:
        """Make an address a member, send the group an issue, and return what comes of it."""
        with self.services.writing.begin() as session:
            make_member(session, self.keyring, address, slug, language)
            queue_issue(session, slug, **words)
        return self.mails(address)[-1]

    def subscription(self, address: str = ADA, slug: str = VILLAGE) -> Subscription | None:
        with self.services.reading.begin() as session:
            group = group_named(session, slug)
            return find_by_address(session, self.keyring.index, group, address, Subscription)

    def account(self, address: str) -> Account | None:
        with self.services.reading.begin() as session:
            return invitations.find_account(session, self.keyring.index, address)

    def right(self, address: str, slug: str | None = None) -> Right | None:
        """Return an address's right to lead a group or, without one, to work for the office."""
        account = self.account(address)
        with self.services.reading.begin() as session:
            group = group_named(session, slug) if slug else None
            return accounts.find_right(session, account, group) if account else None

    def is_member(self, address: str = ADA, slug: str = VILLAGE) -> bool:
        found = self.subscription(address, slug)
        return found is not None and bool(found.is_active)

    def members(self, slug: str = VILLAGE) -> int:
        with self.services.reading.begin() as session:
            return members_of(session, slug)

    def invite_lead(self, address: str, slug: str = VILLAGE) -> None:
        with self.services.writing.begin() as session:
            group = group_named(session, slug)
            invitations.invite(session, self.keyring, group, address)

    def invite_office(self, address: str) -> None:
        self.do(let_work_for_office, self.keyring, address)

    def invitation_secret(self, mail: EmailMessage) -> str:
        """Return the secret of an invitation's link, as the web sees it when it is opened."""
        token = link_to(mail, "invitation").rpartition("/")[2].partition("?")[0]
        return self.services.tokens.read(Purpose.INVITATION, token)

    def wait_for(self, address: str = ADA, slug: str = SOON, **typed: Any) -> None:
        answer = self.visitor.send(f"/groups/{slug}/tell-me", email=address, **typed)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/noted")
        self.worker.drain()

    def launch(self, slug: str = SOON) -> None:
        """Let a group start, an hour ago, so that those who wait are told."""
        self.do(launch_an_hour_ago, slug)
        self.worker.drain()

    def purge(self, after: timedelta = timedelta(0)) -> dict[str, int]:
        """Let what is too old be deleted, as if some time had passed."""
        with time_machine.travel(now() + after), self.services.writing.begin() as session:
            return purge_all(session)

    def do(self, verb, *given: Any, **named: Any) -> Any:
        return do(self.services, verb, *given, **named)

    def add_member(self, address: str = ADA, slug: str = VILLAGE, language="en") -> Subscription:
        return self.do(make_member, self.keyring, address, slug, language)

    def add_members(self, number: int, slug: str = VILLAGE) -> None:
        self.do(make_members, self.keyring, number, slug)

    def queue_at_once(self, *words: str, **more: str) -> Newsletter:
        return self.do(lambda session: queue_at_once(self.worker, session, *words, **more))

    def group(self, slug: str = VILLAGE) -> Group:
        with self.services.reading.begin() as session:
            return group_named(session, slug)

    def suppress(self, address: str) -> None:
        self.do(suppressions.suppress, self.keyring.index, address)

    def seal(self, asked: SealedJob) -> None:
        """Ask the worker for something, as the web can: honest or broken into."""
        self.do(asked.ask, self.services.sealer)

    def query(self, wanted: Select[Any]) -> list[Any]:
        return query(self.services, wanted)

    def execute(self, statement: Executable) -> None:
        execute(self.services, statement)

    def rows(self, table: str) -> int:
        return len(dump_of(self.services)[table])

    @property
    def engine(self) -> Engine:
        return self.services.engine
