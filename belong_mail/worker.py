"""The worker's door: opens what was sealed, and hands each kind of thing to its handler."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from belong_mail import handlers, retention
from belong_mail.db import now
from belong_mail.mail.mailbox import Mailbox
from belong_mail.mail.message import Envelope, mailbox
from belong_mail.mail.relay import SmtpTransport, Transport, parse
from belong_mail.newsletters import letters as issues
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.outbox.letters import Desk
from belong_mail.parts import Parts, Settings
from belong_mail.sending.engine import Engine, Writing
from belong_mail.sending.models import Chunk, Delivery, State
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
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._seal_to_office = seal_to_office
        self._press = issues.Press(desk)
        self._purged_at = now() - PURGE_EVERY
        self.engine = Engine(sessions, transport, self._compose, self._press, presence, policy)

    def run(self) -> None:
        """Work until the engine is told to stop; then finish what is in hand, and no more."""
        stopping = self.engine.stopping
        while not stopping.is_set():
            try:
                pause = 0.0 if self.step() else IDLE
            except (OperationalError, InterfaceError) as error:
                log.error("The database does not answer: %s", type(error).__name__)  # noqa: TRY400
                pause = WITHOUT_DATABASE
            stopping.wait(pause)
        self.engine.close()

    def drain(self) -> None:
        """Work until nothing is due now, or until the engine is told to stop."""
        self.engine.recover()
        while not self.engine.stopping.is_set() and self.step():
            pass
        self.engine.finish()

    def step(self) -> bool:
        """Read requests, queue issues that are due, send a batch; tell whether there was any."""
        was_reading = self._read_requests()
        with self._sessions.begin() as session:
            for newsletter in newsletters.queue_due(session):
                if self._seal_to_office is not None:
                    newsletters.copy_to(session, newsletter, self._seal_to_office())
            if now() - self._purged_at > PURGE_EVERY:
                retention.purge(session)
                self._purged_at = now()
        return self.engine.work() or was_reading

    def waiting(self) -> dict[str, int]:
        """Count what waits for later: deliveries by state, requests, issues for their time."""
        unfinished = (State.QUEUED, State.SENDING, State.DEFERRED, State.UNCERTAIN)
        by_state = select(Delivery.state, func.count()).group_by(Delivery.state)
        by_state = by_state.where(Delivery.state.in_(unfinished), Delivery.due_at.is_not(None))
        scheduled = select(func.count(Newsletter.id)).where(
            Newsletter.queued_at.is_(None), Newsletter.due_at.is_not(None)
        )
        with self._sessions.begin() as session:
            counts = Counter(dict(session.execute(by_state).all()))
            planned = select(func.sum(Chunk.planned)).where(Chunk.inserted.is_(None))
            counts[State.QUEUED.value] += session.scalar(planned) or 0
            counts["requests"] = session.scalar(select(func.count(Request.id))) or 0
            counts["scheduled"] = session.scalar(scheduled) or 0
        return +counts

    def _read_requests(self) -> bool:
        with self._sessions.begin() as session:
            due = select(Request.id).where(
                Request.due_at <= now(), Request.failures < MOST_FAILURES
            )
            waiting = list(session.scalars(due.order_by(Request.id).limit(BATCH)))
        for request_id in waiting:
            self._read_request(request_id)
        return bool(waiting)

    def _read_request(self, request_id: int) -> None:
        """Answer one request in a transaction of its own; what cannot be read is put aside."""
        try:
            with self._sessions.begin() as session:
                request = session.get(Request, request_id, with_for_update={"skip_locked": True})
                if request is not None:
                    keyring = Keyring(self._desk.opener, self._desk.index)
                    handlers.RECEIVERS[request.kind](session, keyring, request)
                    session.delete(request)
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("Request %d cannot be read: %s", request_id, type(error).__name__)  # noqa: TRY400
            with self._sessions.begin() as session:
                session.get_one(Request, request_id).failures += 1

    def _compose(self, session: Session, ids: list[int]) -> Iterator[tuple[int, Writing]]:
        """Read what it takes to write deliveries: the members of issues together, others alone."""
        kinds = select(Delivery.id, Delivery.kind).where(Delivery.id.in_(ids))
        issues_ids = []
        for delivery_id, kind in session.execute(kinds):
            if kind == "newsletter":
                issues_ids.append(delivery_id)
            else:
                yield delivery_id, self._written(session, delivery_id)
        if issues_ids:
            yield from self._press.writings(session, issues_ids)

    def _written(self, session: Session, delivery_id: int) -> Writing:
        """Write a single message now; what is raised is raised again when it is asked for."""
        try:
            with session.begin_nested():
                envelope = self._write(session, session.get_one(Delivery, delivery_id))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            return partial(_raise, error)
        return lambda: envelope

    def _write(self, session: Session, delivery: Delivery) -> Envelope:
        if delivery.kind in handlers.ENVELOPES:
            return handlers.ENVELOPES[delivery.kind](session, self._desk, delivery)
        letter = handlers.LETTERS[delivery.kind](session, self._desk, delivery)
        return self._desk.envelope(delivery, letter)


def _raise(error: Exception) -> Envelope:
    raise error


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
    )
    policy = Policy(settings.send_rate, settings.daily_quota, settings.uncertain)
    relay = transport or make_transport(settings)
    presence = Presence(settings.state_folder / "workers")
    copies = parts.seal_to_office if settings.copy_to_office else None
    return Worker(desk, parts.writing, relay, presence, policy, copies)


def make_transport(settings: Settings) -> Transport:
    if settings.smtp_url.startswith("mailbox:"):
        return Mailbox(settings.state_folder / "mailbox")
    return SmtpTransport(parse(settings.smtp_url, ehlo=settings.mail_domain))
