"""The worker's loop: read jobs, do periodic tasks, let the engine send."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from belong_mail.core import jobs, logs, site_settings
from belong_mail.core.database_errors import (
    LOCK_REST_SECONDS,
    NO_DATABASE,
    error_name,
    has_idled,
    hurry_after_locks,
    is_locked,
    is_too_slow,
)
from belong_mail.core.db import now, update_if_free
from belong_mail.core.decryption import Keyring
from belong_mail.core.district import District
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services, Settings
from belong_mail.delivery.engine import Engine
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.delivery.throttle import SendPolicy
from belong_mail.delivery.work import JobWork, Refused, Work
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.inbound import pipe
from belong_mail.mail.address import Staff
from belong_mail.mail.message.headers import format_mailbox
from belong_mail.mail.smtp.transport import FolderTransport, SmtpTransport, Transport, parse_relay
from belong_mail.members import import_tasks, wrapped_fields
from belong_mail.members import tasks as members_tasks
from belong_mail.monitoring import alerts
from belong_mail.monitoring.measures import Site
from belong_mail.newsletters import auto_pause, issue_mailer
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.tasks import is_any_due, queue_due
from belong_mail.ops import hold, key_check, outbox
from belong_mail.ops.host_state import HostStateFile, StateFolderError
from belong_mail.ops.rooms import LOOKUPS, TASKS
from belong_mail.worker import registry
from belong_mail.worker.periodic_tasks import REST_SECONDS, Backoff, PeriodicTasks

if TYPE_CHECKING:
    from belong_mail.inbound.intake import Intake

# Seconds between polls when there was nothing to do.
IDLE_SECONDS = 0.5
# Seconds between attempts when the database does not answer.
NO_DATABASE_SECONDS = 5.0
PURGE_GAP = timedelta(minutes=1)
# Seconds between two checks of the host, at least and at most: a database that is older than that
# is noticed. Where the database is far away, the gap is ten times what a check takes.
HOST_CHECK_SECONDS, MAX_HOST_CHECK_SECONDS = 10.0, 30.0
HOST_CHECK_SHARE = 10
# Seconds between two lines on a terminal about what still waits.
TELL_SECONDS = 1.0
JOBS_AT_ONCE = 100
# Returned emails among them: anyone may send one that takes half a second to read.
RETURNED_AT_ONCE = 10
# People told of a start in a turn: once one waited for a lock in vain, each may take 0.1 seconds.
STARTS_AT_ONCE = 10
# How long until a request is retried whose statement took too long.
SLOW_REQUEST_REST = timedelta(minutes=5)
LOCKED_REQUEST_REST = timedelta(seconds=LOCK_REST_SECONDS)
# The reason of the hold while our keys do not open what is in the database.
WRONG_KEYS = "keys"
# A turn's tasks besides reading requests and sending, by the log's words for their failure.
Tasks = dict[str, Callable[[], bool]]
log = logging.getLogger(__name__)


class Worker:
    def __init__(
        self,
        mailer: Mailer,
        services: Services,
        transport: Transport,
        lock: WorkerLock,
        policy: SendPolicy,
        state_file: HostStateFile | None,
        intake: "Intake | None" = None,
    ) -> None:
        self._mailer = mailer
        self._keyring = mailer.keys
        self._tasks = dict(TASKS)
        self._services = services
        self._sessions = sessions = services.writing
        self._backoff = Backoff(self._require_database)
        tasks = registry.periodic_tasks(mailer, services.settings, policy)
        self._periodic_tasks = PeriodicTasks(sessions, tasks, self._backoff)
        self._intake = intake
        self._state_file = state_file
        self._meet_at = self._check_at = self._tell_at = 0.0
        self._do_keys_fit, self._are_all_tried = False, True
        self._connections = self._met = 0
        """Connections to the database that were made, and how many before we last met it."""
        event.listen(sessions.kw["bind"], "connect", self._connected)
        hurry_after_locks(sessions.kw["bind"])
        self._has_worked = False
        """Whether a turn has ended well since the database was last met."""
        self._has_failed = False
        """Whether a failed lookup is still to be noted."""
        self.held_because: str | None = None
        """A key of `hold.REASONS` while we must not work."""
        self._issue_mailer = issue_mailer.IssueMailer(mailer)
        compose = partial(registry.compose_deliveries, mailer, self._issue_mailer)
        self._import_pace = import_tasks.pace_within(policy)
        self._purge_at = now()
        parts = sessions, transport, compose, self._issue_mailer, lock, policy
        domain_of = partial(wrapped_fields.domain_hash, self._keyring)
        undelivered = partial(auto_pause.pause_if_refused, domain_of)
        self.engine = Engine(*parts, undelivered=undelivered, is_met=self._is_met)

    def run(self) -> None:
        """Work until the engine is told to stop; then only finish what is in hand."""
        while not self.engine.stopping.is_set():
            self.engine.rest(self._turn())
        self.close()

    def close(self) -> None:
        """End cleanly: record what was sent, and that this host was here."""
        self.engine.stop_talking()
        if self._intake is not None:
            self._intake.stop()
        self._is_free()
        self.engine.close()
        self._meet_at = 0.0
        with suppress(*NO_DATABASE):
            self._is_free()
            self._note_failed_lookup()

    def drain(self, told: Callable[[], None] | None = None) -> None:
        """Work until nothing is due, or until the engine is told to stop; report now and then."""
        tell_at = 0.0
        if self._is_free():
            self.engine.recover()
        elif self.held_because == WRONG_KEYS:
            self._tell_of_keys()
        while self._is_free() and not self.engine.stopping.is_set():
            if told is not None and time.monotonic() > tell_at:
                told()
                tell_at = time.monotonic() + TELL_SECONDS
            if not self.step() and not (self._intake is not None and self._intake.wait()):
                break
        self.engine.finish()
        if self._has_worked and self._state_file is not None:
            with self._sessions.begin() as session:
                hold.beat(session, self._state_file.seen())

    def _turn(self) -> float:
        """Do what is due; return the seconds until the next poll."""
        try:
            if not self._is_free():
                if self.held_because == WRONG_KEYS:
                    self._tell_of_keys()
                return IDLE_SECONDS
            return 0.0 if self.step() else IDLE_SECONDS
        except (SQLAlchemyError, OSError, StateFolderError) as error:
            log.error("Database or state folder cannot be used: %s", error_name(error))  # noqa: TRY400
        return NO_DATABASE_SECONDS

    def _is_free(self) -> bool:
        """Return whether we may work: on this database, and with these keys."""
        before = self.held_because
        if not self._may_work_here():
            return False
        if not self._are_keys_right():
            self.held_because = WRONG_KEYS
            return False
        if before is not None:
            log.info("Sending goes on: it is no longer on hold.")
        self.held_because = None
        return True

    def _are_keys_right(self) -> bool:
        """Check the keys at the start, when one is missing, and now and then while they are wrong.

        With wrong keys all email would fail, and what is written would be lost. Tables that are
        locked at the start are checked later.
        """
        opener = self._keyring.opener
        was_sure = self._do_keys_fit and self._are_all_tried
        if was_sure and not opener.unknown:
            return True
        if time.monotonic() < self._check_at:
            return self._do_keys_fit
        try:
            with self._sessions.begin() as session:
                faults = key_check.check_unknown_keys(session, self._keyring)
                faults = faults or key_check.key_faults(session, self._keyring)
                if not faults and not was_sure:
                    key_check.retry_unreadable_jobs(session, opener)
            self._are_all_tried = True
        except NO_DATABASE as error:
            if not is_too_slow(error):
                raise
            # The web may lock a table, and seal something for a key that is none.
            self._check_at = time.monotonic() + HOST_CHECK_SECONDS
            if self._do_keys_fit or self.held_because == WRONG_KEYS:
                return self._do_keys_fit
            with self._sessions.begin() as session:
                faults = key_check.key_faults(session, self._keyring, key_check.NEVER_LOCKED)
            self._are_all_tried = False
        if faults:
            self._check_at = time.monotonic() + HOST_CHECK_SECONDS
        if faults and self.held_because != WRONG_KEYS:
            log.error("Sending is on hold: %s %s", " ".join(faults), hold.REASONS[WRONG_KEYS])
            self.engine.finish()
        self._do_keys_fit = not faults
        return self._do_keys_fit

    def _tell_of_keys(self) -> None:
        """Send only alerts, which need no key but the one we have."""
        if not self._mailer.operators or time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + PURGE_GAP.total_seconds()
        with self._sessions.begin() as session:
            site = Site(session, self._services.settings, now())
            to = self._mailer.operators
            alerts.send_alerts(site, self._keyring, to, (alerts.WRONG_KEYS,))
        self.engine.kinds_alone = (alerts.ALERT,)
        try:
            while self.engine.work() and not self.engine.stopping.is_set():
                pass
            self.engine.finish()
        finally:
            self.engine.kinds_alone = None

    def _may_work_here(self) -> bool:
        """Check the database if it may be another, or before a purge; return whether to work."""
        is_fresh = self.held_because in {None, WRONG_KEYS} and time.monotonic() < self._meet_at
        if self._state_file is None or (is_fresh and self._is_met() and not self._is_purge_due()):
            return True
        began = time.monotonic()
        with self._state_file.locked_update() as seen, self._sessions.begin() as session:
            is_behind = self.engine.is_behind(session)
            because = hold.check_host(session, seen, is_behind=is_behind)
            if self._has_worked:
                hold.beat(session, seen)
            if because is None and outbox.take_retry_call(session, seen):
                self.engine.retry()
        self._met = self._connections
        if is_behind:
            self.engine.restart()
        if because is not None and because != self.held_because:
            log.warning("Sending is on hold: %s", hold.REASONS[because])
            self.engine.finish()
        if self.held_because != WRONG_KEYS or because is not None:
            self.held_because = because
        self._has_worked = False
        took = HOST_CHECK_SHARE * (time.monotonic() - began)
        gap = min(MAX_HOST_CHECK_SECONDS, max(HOST_CHECK_SECONDS, took))
        self._meet_at = time.monotonic() + gap
        return because is None

    def _is_met(self) -> bool:
        """Return whether the database was checked and no connection was made since."""
        return self._state_file is None or self._met == self._connections

    def _connected(self, *_: object) -> None:
        self._connections += 1

    def _is_purge_due(self) -> bool:
        """Return whether a minute has passed, even after a clock that ran ahead was set right."""
        return not self._purge_at - PURGE_GAP <= now() < self._purge_at

    def step(self) -> bool:
        """Read requests, queue due issues, send a batch; return whether there was any."""
        if self._intake is not None:
            self._intake.poll_if_due()
        requests, tasks = self._read_requests()
        run = partial(self._backoff.run, most=REST_SECONDS)
        done = [run(complaint, task) for complaint, task in tasks.items()]
        if self._is_purge_due():
            at = now()
            is_tidy = self._periodic_tasks.run()
            self._purge_at = at + PURGE_GAP if is_tidy else at
        is_busy = self.engine.work()
        self._has_worked = True
        return is_busy or bool(requests) or any(done)

    def _require_database(self) -> None:
        """Raise what the database raises while it cannot be used."""
        with self._sessions.begin() as session:
            session.execute(select(1))

    def waiting(self) -> dict[str, int]:
        """Count what waits for later."""
        with self._sessions.begin() as session:
            return hold.waiting(session)

    def _read_requests(self) -> tuple[list[int], Tasks]:
        """Read requests; return them, and the other tasks of this turn."""
        found = self._backoff.run("Nothing is read", self._look, most=NO_DATABASE_SECONDS)
        requests, tasks = found or ([], {})
        return [each for each in requests if self._read_request(each)], tasks

    def _look(self) -> tuple[list[int], Tasks]:
        """Look what there is to do, in one transaction: the database may be far away."""
        at, tasks = now(), Tasks()
        self._note_failed_lookup()
        with self._sessions.begin() as session:
            requests = self._waiting(session, at)
            if entries := members_tasks.notes_to_tell(session, STARTS_AT_ONCE):
                tasks["Nobody is told of a start"] = partial(self._tell_of_starts, entries)
            if (batch := import_tasks.next_batch(session, self._import_pace, at)) is not None:
                tasks["Nobody of a list is asked"] = partial(self._ask_imported, batch)
            if is_any_due(session):
                tasks["No newsletter is queued"] = self._queue_due
        return requests, tasks

    def _note_failed_lookup(self) -> None:
        """Let the operator hear of a lookup that failed, which tells whose address it is."""
        if self._has_failed:
            with self._sessions.begin() as session:
                jobs.note_failure(session, now())
            self._has_failed = False

    def _waiting(self, session: Session, at: datetime) -> list[int]:
        """List requests that may be read now, limiting those that look an address up."""
        is_lookup = Job.kind.in_(LOOKUPS)
        due = select(Job.id, is_lookup, Job.kind == pipe.RETURNED).where(Job.due_at <= at)
        due = due.where(Job.failures < jobs.MAX_FAILURES)
        # By time: those that were put off come after what others have asked for meanwhile.
        in_turn = due.order_by(Job.kind == pipe.RETURNED, Job.due_at, Job.id)
        people_first = in_turn.limit(JOBS_AT_ONCE)
        found = list(session.execute(people_first))
        asking = [row for row in found if row[1]]
        room = jobs.remaining_lookups(session, at) if asking else 0
        jobs.count_lookups(session, min(room, len(asking)), at)
        if room < len(asking):
            jobs.note_excess(session, at)
            found = asking[:room] + list(session.execute(people_first.where(~is_lookup)))
        people = [number for number, _, is_returned in found if not is_returned]
        jobs.count_read(session, len(people), at)
        returned = [number for number, _, is_returned in found if is_returned]
        return people + returned[:RETURNED_AT_ONCE]

    def _queue_due(self) -> bool:
        with self._sessions.begin() as session:
            for newsletter in queue_due(self._work(session)):
                if self._services.settings.copy_to_office:
                    newsletters.send_copy(session, newsletter)
        return True

    def _tell_of_starts(self, entries: list[int]) -> bool:
        """Notify people who wait for a group that has started, each in its own transaction.

        If one met a lock, raise that at the end: then all rest for a while.
        """
        told, locked = 0, None
        for entry_id in entries:
            try:
                with self._sessions.begin() as session:
                    members_tasks.tell_launched(self._work(session), entry_id)
                told += 1
            except Exception as error:  # tried again; it must not stop the others
                self._has_failed = True
                if isinstance(error, NO_DATABASE) and not is_locked(error):
                    raise
                locked = error if is_locked(error) else locked
                log.error("Waiting-list entry %d waits: %s", entry_id, error_name(error))  # noqa: TRY400
        if locked is not None:
            raise locked
        return told > 0

    def _ask_imported(self, batch_id: int) -> bool:
        """Ask a few people of an imported list; a batch is one transaction."""
        with self._sessions.begin() as session:
            import_tasks.count_batch(session, self._import_pace, now())
        try:
            with self._sessions.begin() as session:
                import_tasks.ask_batch(self._work(session), batch_id)
        except Exception as error:  # a poisoned row must not stop the others
            self._has_failed = True
            if isinstance(error, NO_DATABASE):
                raise
            log.error("Import batch %d cannot be read: %s", batch_id, type(error).__name__)  # noqa: TRY400
            with self._sessions.begin() as session:
                import_tasks.put_aside(session, batch_id)
        return True

    def _work(self, session: Session) -> Work:
        return Work(session=session, mailer=self._mailer, at=now())

    def _read_request(self, request_id: int) -> bool:
        """Do one request in its own transaction; count a failure of an unreadable one.

        Return False if it is gone, or someone else has it.
        """
        kind = ""
        try:
            with self._sessions.begin() as session:
                request = session.get(Job, request_id, with_for_update={"skip_locked": True})
                if request is None:
                    return False
                kind = request.kind
                work = JobWork(session=session, mailer=self._mailer, at=now(), job=request)
                with suppress(Refused):
                    self._tasks[request.kind](work)
                session.delete(request)
            if posted := logs.noted(session.info).get("delivery"):
                logs.event(log, logging.INFO, "job read", job=request_id, delivery=posted)
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            self._has_failed |= kind in LOOKUPS or isinstance(error, NO_DATABASE)
            # Anyone may send an email that takes long to read, and no one waits for it.
            is_dear = kind == pipe.RETURNED and has_idled(error)
            if isinstance(error, NO_DATABASE) and not is_dear:
                # A row can bring it about. If the database is really gone, this fails as well.
                is_slow = has_idled(error) or (is_too_slow(error) and not is_locked(error))
                rest = SLOW_REQUEST_REST if is_slow else LOCKED_REQUEST_REST
                self._put_back(request_id, due_at=now() + rest)
            else:
                # The web may have written any number into a new row, even a very negative one.
                before = case((Job.failures < 0, 0), else_=Job.failures)
                self._put_back(request_id, failures=before + 1)
            log.error("Request %d cannot be read: %s", request_id, error_name(error))  # noqa: TRY400
        return True

    def _put_back(self, request_id: int, **values: Any) -> None:
        """Change a request that was not done, unless someone is just deleting it."""
        with self._sessions.begin() as session:
            update_if_free(session, Job, Job.id == request_id, **values)


def make_worker(services: Services, keyring: Keyring, transport: Transport | None = None) -> Worker:
    """Put the worker's parts together. Raises InvalidRelay."""
    settings = services.settings
    mailer = Mailer(
        opener=keyring.opener,
        index=keyring.index,
        renderer=services.renderer,
        links=services.links,
        names=VerpAddresses(
            settings.secret_keys, settings.mail_domain, keyring.index.message_key()
        ),
        sender=format_mailbox(settings.mail_from, f"belong@{settings.mail_domain}"),
        office=settings.contact_inbox,
        operators=settings.alert_address,
        staff=Staff(settings.allowed_domains, settings.refused_local_parts),
        zone=settings.timezone,
        district=District(settings.oidc_issuer, settings.secret_keys),
        site=partial(site_settings.as_announced, settings=settings),
        has_inbound=settings.inbound_pipe or bool(settings.inbound_url),
    )
    policy = SendPolicy(settings.send_rate, settings.daily_quota, settings.uncertain)
    relay = transport or make_transport(settings)
    state_file = HostStateFile(settings.state_folder)
    lock = WorkerLock(settings.state_folder / "workers")
    known = None if settings.smtp_url.startswith("mailbox:") else state_file
    intake = None
    if (location := settings.inbound_mailbox) is not None:
        from belong_mail.inbound.intake import Intake  # noqa: PLC0415 - imaplib, for a mailbox alone

        intake = Intake(location, services, keyring.index, lock)
    return Worker(mailer, services, relay, lock, policy, known, intake)


def make_transport(settings: Settings) -> Transport:
    if settings.smtp_url.startswith("mailbox:"):
        return FolderTransport(settings.state_folder / "mailbox")
    relay = parse_relay(
        settings.smtp_url, ehlo=settings.mail_domain, credentials=settings.smtp_credentials
    )
    return SmtpTransport(relay)
