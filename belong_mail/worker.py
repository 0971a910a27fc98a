"""The worker's door: opens what was sealed, and hands each kind of thing to its handler."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from belong_mail import handlers
from belong_mail.db import NO_DATABASE, now
from belong_mail.hold import service as hold
from belong_mail.hold.witness import Witness, WitnessUnreadable
from belong_mail.interests import receiving as interests
from belong_mail.mail.mailbox import Mailbox
from belong_mail.mail.message import mailbox
from belong_mail.mail.relay import SmtpTransport, Transport, parse
from belong_mail.newsletters import letters as issues
from belong_mail.newsletters import service as newsletters
from belong_mail.outbox.letters import Desk
from belong_mail.parts import Parts, Settings
from belong_mail.returns import refusals
from belong_mail.returns import service as returns
from belong_mail.sending.engine import Engine
from belong_mail.sending.names import Names
from belong_mail.sending.pace import Policy
from belong_mail.sending.presence import Presence
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import Keyring

IDLE = 0.5
"""Seconds between looks when there was nothing to do."""
WITHOUT_DATABASE = 5.0
"""Seconds between looks when the database does not answer."""
PURGE_EVERY = timedelta(minutes=1)
MEET_EVERY = 10.0
"""Seconds; a copy of the database that is older than this is known for one."""
BATCH = 100
MOST_FAILURES = 3

log = logging.getLogger(__name__)


class Worker:
    def __init__(
        self,
        desk: Desk,
        sessions: sessionmaker[Session],
        transport: Transport,
        presence: Presence,
        policy: Policy,
        seal_to_office: Callable[[], bytes] | None,
        seal_to_operator: Callable[[], bytes] | None,
        witness: Witness | None,
    ) -> None:
        self._desk = desk
        self._keyring = Keyring(desk.opener, desk.index)
        self._receivers = handlers.receivers(desk)
        self._sessions = sessions
        self._seal_to_office = seal_to_office
        self._chores = handlers.chores(desk, seal_to_operator)
        self._witness = witness
        self._meet_at = 0.0
        self.held_because: str | None = None
        """A key of `hold.service.REASONS` while we must not work."""
        self._press = issues.Press(desk)
        compose = partial(handlers.compose, desk, self._press)
        self._purge_at = now()
        parts = sessions, transport, compose, self._press, presence, policy
        self.engine = Engine(*parts, undelivered=refusals.consider)

    def run(self) -> None:
        """Work until the engine is told to stop; then finish what is in hand, and no more."""
        while not self.engine.stopping.is_set():
            self.engine.rest(self._turn())
        self.engine.close()

    def drain(self) -> None:
        """Work until nothing is due now, or until the engine is told to stop."""
        if self._is_free():
            self.engine.recover()
        while self._is_free() and not self.engine.stopping.is_set() and self.step():
            pass
        self.engine.finish()

    def _turn(self) -> float:
        """Do what is due; return the seconds until the next look."""
        try:
            if not self._is_free():
                return IDLE
            return 0.0 if self.step() else IDLE
        except (*NO_DATABASE, OSError, WitnessUnreadable) as error:
            log.error("Database or state folder cannot be used: %s", type(error).__name__)  # noqa: TRY400
        return WITHOUT_DATABASE

    def _is_free(self) -> bool:
        """Meet the database now and then, and before a purge; tell whether we may work on it."""
        is_fresh = self.held_because is None and time.monotonic() < self._meet_at
        if self._witness is None or (is_fresh and now() < self._purge_at):
            return True
        with self._witness.turn() as seen, self._sessions.begin() as session:
            because = hold.meet(session, seen)
        if because is not None and because != self.held_because:
            log.warning("Sending is on hold: %s", hold.REASONS[because])
            self.engine.finish()
        self.held_because = because
        self._meet_at = time.monotonic() + MEET_EVERY
        return because is None

    def step(self) -> bool:
        """Read requests, queue issues that are due, send a batch; tell whether there was any."""
        was_reading = self._read_requests()
        was_reading |= self._tell_of_starts()
        with self._sessions.begin() as session:
            for newsletter in newsletters.queue_due(session):
                if self._seal_to_office is not None:
                    newsletters.copy_to(session, newsletter, self._seal_to_office())
        if (at := now()) >= self._purge_at:
            with self._sessions.begin() as session:
                is_tidy = handlers.tidy(session, self._chores)
            self._purge_at = at + PURGE_EVERY if is_tidy else at
        return self.engine.work() or was_reading

    def waiting(self) -> dict[str, int]:
        """Count what waits for later."""
        with self._sessions.begin() as session:
            return hold.waiting(session)

    def _read_requests(self) -> bool:
        with self._sessions.begin() as session:
            due = select(Request.id).where(Request.due_at <= now())
            due = due.where(Request.failures < MOST_FAILURES)
            people_first = due.order_by(Request.kind == returns.KIND, Request.id)
            waiting = list(session.scalars(people_first.limit(BATCH)))
        for request_id in waiting:
            self._read_request(request_id)
        return bool(waiting)

    def _tell_of_starts(self) -> bool:
        """Tell, each in a transaction of its own, those who wait for a group that has started."""
        told = 0
        with self._sessions.begin() as session:
            waiting = interests.waiting(session, BATCH)
        for interest_id in waiting:
            try:
                with self._sessions.begin() as session:
                    interests.tell(session, self._keyring, interest_id)
                told += 1
            except Exception as error:  # noqa: BLE001 - tried again; it must not stop the others
                log.error("Interest %d waits: %s", interest_id, type(error).__name__)  # noqa: TRY400
        return told > 0

    def _read_request(self, request_id: int) -> None:
        """Answer one request in a transaction of its own; what cannot be read is put aside."""
        try:
            with self._sessions.begin() as session:
                request = session.get(Request, request_id, with_for_update={"skip_locked": True})
                if request is not None:
                    self._receivers[request.kind](session, self._keyring, request)
                    session.delete(request)
        except NO_DATABASE:
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("Request %d cannot be read: %s", request_id, type(error).__name__)  # noqa: TRY400
            with self._sessions.begin() as session:
                failed = update(Request).where(Request.id == request_id)
                session.execute(failed.values(failures=Request.failures + 1))


def make_worker(parts: Parts, keyring: Keyring, transport: Transport | None = None) -> Worker:
    """Join the worker's parts, or raise RelayRefused."""
    settings = parts.settings
    desk = Desk(
        opener=keyring.opener,
        index=keyring.index,
        renderer=parts.renderer,
        links=parts.links,
        names=Names(settings.secret_keys, settings.mail_domain),
        sender=mailbox(settings.mail_from, f"belong@{settings.mail_domain}"),
        office=settings.contact_inbox,
        zone=settings.timezone,
    )
    policy = Policy(settings.send_rate, settings.daily_quota, settings.uncertain)
    relay = transport or make_transport(settings)
    witness = Witness(settings.state_folder)
    presence = Presence(settings.state_folder / "workers")
    copies = parts.seal_to_office if settings.copy_to_office else None
    alarm = parts.seal_to_operator if settings.alert_address else None
    known = None if settings.smtp_url.startswith("mailbox:") else witness
    return Worker(desk, parts.writing, relay, presence, policy, copies, alarm, known)


def make_transport(settings: Settings) -> Transport:
    if settings.smtp_url.startswith("mailbox:"):
        return Mailbox(settings.state_folder / "mailbox")
    return SmtpTransport(parse(settings.smtp_url, ehlo=settings.mail_domain))
