"""The worker's loop: read jobs, run periodic tasks, send email."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from belong_mail.core import jobs, logs
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
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services, Settings
from belong_mail.core.statements import any_of, run_together
from belong_mail.delivery.engine import Engine
from belong_mail.delivery.mailer import Mailer
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.delivery.work import JobWork, Refused, Work
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.groups.service import UNDO_LAUNCH
from belong_mail.inbound import pipe
from belong_mail.mail.smtp.transport import FolderTransport, SmtpTransport, Transport
from belong_mail.members import import_tasks, imports
from belong_mail.members import tasks as members_tasks
from belong_mail.monitoring import alerts
from belong_mail.newsletters import auto_pause, issue_mailer
from belong_mail.newsletters.tasks import DUE, queue_due
from belong_mail.ops import hold, key_check
from belong_mail.ops.hold import WRONG_KEYS
from belong_mail.ops.host_state import HostStateFile, StateFolderError
from belong_mail.ops.rooms import LOOKUPS, TASKS
from belong_mail.worker import registry
from belong_mail.worker.periodic_tasks import REST_SECONDS, Backoff, PeriodicTasks

if TYPE_CHECKING:
    from belong_mail.inbound.intake import Intake

# Seconds between polls when nothing was due.
IDLE_SECONDS = 0.5
# Seconds between attempts while the database is unavailable.
NO_DATABASE_SECONDS = 5.0
PURGE_GAP = timedelta(minutes=1)
# Seconds between checks that the database is the one this state folder knows: ten times what a
# check takes, within these limits.
HOST_CHECK_SECONDS, MAX_HOST_CHECK_SECONDS = 10.0, 30.0
HOST_CHECK_SHARE = 10
# Seconds between progress lines on a terminal.
TELL_SECONDS = 1.0
JOBS_AT_ONCE = 100
# Returned emails among them: anyone may send one that takes half a second to parse.
RETURNED_AT_ONCE = 10
# Notifications of a group's start in a turn: after a lock timeout each may take 0.1 seconds.
STARTS_AT_ONCE = 10
# How long a job rests after a statement timeout.
SLOW_JOB_REST = timedelta(minutes=5)
LOCKED_JOB_REST = timedelta(seconds=LOCK_REST_SECONDS)
# Tasks of a turn, by the text that is logged when they fail.
Tasks = dict[str, Callable[[], bool]]
# Tells whether a job is due, and whether there is something to do for each other task of a turn.
LOOK = any_of(
    select(Job.id).where(*jobs.IS_DUE).order_by(Job.due_at),
    members_tasks.STARTED,
    import_tasks.BATCHES,
    DUE,
)
log = logging.getLogger(__name__)


class Worker:
    def __init__(self, services: Services, keyring: Keyring) -> None:
        """Set up. Raises InvalidSetting."""
        settings, self._keyring = services.settings, keyring
        names = settings.secret_keys, settings.mail_domain, keyring.index.message_key()
        shared = services.renderer, services.links
        self._mailer = mailer = Mailer(keyring, *shared, VerpAddresses(*names), settings)
        self._tasks = dict(TASKS)
        self._sessions = sessions = services.writing
        self._backoff = Backoff(self._require_database)
        tasks = registry.periodic_tasks(self.work_in)
        self._periodic_tasks = PeriodicTasks(sessions, tasks, self._backoff)
        self._intake = _make_intake(services, keyring)
        state_file = HostStateFile(settings.state_folder)
        self._state_file = None if settings.smtp_url.startswith("mailbox:") else state_file
        self._meet_at = self._check_at = self._tell_at = 0.0
        self._do_keys_fit, self._are_all_tried = False, True
        self._connections = self._met = 0
        """Database connections opened so far, and at the last check of the database."""
        event.listen(sessions.kw["bind"], "connect", self._connected)
        hurry_after_locks(sessions.kw["bind"])
        self._has_worked = False
        """Whether a turn has succeeded since the last check of the database."""
        self._has_failed = False
        """Whether the failure of a lookup has yet to be recorded."""
        self.held_because: str | None = None
        """A key of `hold.REASONS` while sending is on hold, else None."""
        self._issue_mailer = issue_mailer.IssueMailer(mailer)
        compose = partial(registry.compose_deliveries, mailer, self._issue_mailer)
        self._import_pace = imports.pace_within(settings)
        self._purge_at = now()
        transport, lock = make_transport(settings), WorkerLock(settings.state_folder / "workers")
        parts = sessions, transport, compose, self._issue_mailer, lock, settings
        self.engine = Engine(*parts, auto_pause.pause_if_refused, self._is_met)

    def run(self) -> None:
        """Work until the engine is stopped, then finish what is under way."""
        while not self.engine.stopping.is_set():
            self.engine.rest(self._turn())
        self.close()

    def close(self) -> None:
        """End cleanly: store the last results, and that this host ran."""
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
        """Work until nothing is due or the engine is stopped; call `told` about once a second."""
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
        """Do what is due; return the seconds until the next turn."""
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
        """Return whether this database and these keys may be used."""
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
        """Check the keys at the start, when an unknown key id appears, and while they are wrong.

        With wrong keys all email would fail, and what is written would be unreadable. Tables that
        are locked at the start are checked later.
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
            # The web could lock a table and write data with an unknown key id.
            self._check_at = time.monotonic() + HOST_CHECK_SECONDS
            if self._do_keys_fit or self.held_because == WRONG_KEYS:
                return self._do_keys_fit
            with self._sessions.begin() as session:
                faults = key_check.key_faults(session, self._keyring, key_check.NEVER_LOCKED)
            self._are_all_tried = False
        if faults:
            self._check_at = time.monotonic() + HOST_CHECK_SECONDS
        if faults and self.held_because != WRONG_KEYS:
            log.error("Sending is on hold: %s %s", hold.REASONS[WRONG_KEYS], " ".join(faults))
            self.engine.finish()
        self._do_keys_fit = not faults
        return self._do_keys_fit

    def _tell_of_keys(self) -> None:
        """Email operators that keys are wrong, which needs no missing key; send nothing else."""
        if not self._mailer.settings.alert_address or time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + PURGE_GAP.total_seconds()
        with self._sessions.begin() as session:
            alerts.send_alerts(self.work_in(session), (alerts.WRONG_KEYS,))
        self.engine.kinds_alone = (alerts.ALERT,)
        try:
            while self.engine.work() and not self.engine.stopping.is_set():
                pass
            self.engine.finish()
        finally:
            self.engine.kinds_alone = None

    def _may_work_here(self) -> bool:
        """Return whether to work; check the database if it may not be the one known here."""
        is_fresh = self.held_because in {None, WRONG_KEYS} and time.monotonic() < self._meet_at
        if self._state_file is None or (is_fresh and self._is_met() and not self._is_purge_due()):
            return True
        began = time.monotonic()
        with self._state_file.locked_update() as seen, self._sessions.begin() as session:
            is_behind = self.engine.is_behind(session)
            host, because = hold.check_host(session, seen, is_behind=is_behind)
            if self._has_worked:
                host.worked_at = now()
            if because is None and host.retry_asked_at is not None:
                host.retry_asked_at = None
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
        """Return whether all connections were opened before the last check of the database."""
        return self._state_file is None or self._met == self._connections

    def _connected(self, *_: object) -> None:
        self._connections += 1

    def _is_purge_due(self) -> bool:
        """Return whether a minute has passed, or the clock was set back."""
        return not self._purge_at - PURGE_GAP <= now() < self._purge_at

    def step(self) -> bool:
        """Read jobs, queue due issues, send a batch; return whether anything was done."""
        if self._intake is not None:
            self._intake.poll_if_due()
        jobs_read, tasks = self.read_jobs()
        run = partial(self._backoff.run, most=REST_SECONDS)
        done = [run(complaint, task) for complaint, task in tasks.items()]
        if self._is_purge_due():
            at = now()
            is_tidy = self._periodic_tasks.run()
            self._purge_at = at + PURGE_GAP if is_tidy else at
        is_busy = self.engine.work()
        self._has_worked = True
        return is_busy or bool(jobs_read) or any(done)

    def _require_database(self) -> None:
        """Raise the database's error while it is unavailable."""
        with self._sessions.begin() as session:
            session.execute(select(1))

    def waiting(self) -> dict[str, int]:
        """Count by kind what waits for later."""
        with self._sessions.begin() as session:
            return hold.waiting(session)

    def read_jobs(self) -> tuple[list[int], Tasks]:
        """Read due jobs; return the ids of those read, and the other tasks of this turn."""
        found = self._backoff.run("Nothing is read", self._look, most=NO_DATABASE_SECONDS)
        due, tasks = found or ([], {})
        return [each for each in due if self._read_job(each)], tasks

    def _look(self) -> tuple[list[int], Tasks]:
        """Find what is due; if nothing is, in one round trip to the database."""
        at, due = now(), list[int]()
        self._note_failed_lookup()
        with self._sessions.begin() as session:
            look = LOOK, {"at": at, "launched_by": at - UNDO_LAUNCH}
            [([(is_any_job_due, *are_due)], _)] = run_together(
                session.connection(), look, is_last=True
            )
        if is_any_job_due:
            with self._sessions.begin() as session:
                due = self._waiting(session, at)
        others: Tasks = {
            "Nobody is told of a start": self._tell_of_starts,
            "Nobody of a list is asked": self._ask_imported,
            "No newsletter is queued": self._queue_due,
        }
        return due, dict(compress(others.items(), are_due))

    def _note_failed_lookup(self) -> None:
        """Record that a lookup failed, for an alert: a failure may reveal whose address it is."""
        if self._has_failed:
            with self._sessions.begin() as session:
                jobs.note_failure(session, now())
            self._has_failed = False

    def _waiting(self, session: Session, at: datetime) -> list[int]:
        """List jobs to read now; jobs that look up an address only within their rate limit."""
        is_lookup = Job.kind.in_(LOOKUPS)
        due = select(Job.id, is_lookup, Job.kind == pipe.RETURNED).where(*jobs.IS_DUE)
        # By due time, so that postponed jobs come after newer ones.
        in_turn = due.order_by(Job.kind == pipe.RETURNED, Job.due_at, Job.id)
        people_first = in_turn.limit(JOBS_AT_ONCE)
        found = list(session.execute(people_first, {"at": at}))
        asking = [row for row in found if row[1]]
        room = jobs.remaining_lookups(session, at) if asking else 0
        jobs.count_lookups(session, min(room, len(asking)), at)
        if room < len(asking):
            jobs.note_excess(session, at)
            others = session.execute(people_first.where(~is_lookup), {"at": at})
            found = asking[:room] + list(others)
        people = [number for number, _, is_returned in found if not is_returned]
        jobs.count_read(session, len(people), at)
        returned = [number for number, _, is_returned in found if is_returned]
        return people + returned[:RETURNED_AT_ONCE]

    def _queue_due(self) -> bool:
        with self._sessions.begin() as session:
            queue_due(self.work_in(session))
        return True

    def _tell_of_starts(self) -> bool:
        """Notify people who wait for a group that has started, each in a transaction.

        A lock error is raised only at the end, and then pauses the whole task.
        """
        told, locked = 0, None
        with self._sessions.begin() as session:
            entries = members_tasks.notes_to_tell(session, STARTS_AT_ONCE)
        for entry_id in entries:
            try:
                with self._sessions.begin() as session:
                    members_tasks.tell_launched(self.work_in(session), entry_id)
                told += 1
            except Exception as error:  # It is retried, and must not stop the others.
                self._has_failed = True
                if isinstance(error, NO_DATABASE) and not is_locked(error):
                    raise
                locked = error if is_locked(error) else locked
                log.error("Waiting-list entry %d waits: %s", entry_id, error_name(error))  # noqa: TRY400
        if locked is not None:
            raise locked
        return told > 0

    def _ask_imported(self) -> bool:
        """Ask a batch of an imported list's people to join, in one transaction."""
        with self._sessions.begin() as session:
            batch_id = import_tasks.take_batch(session, self._import_pace, now())
        if batch_id is None:
            return False
        try:
            with self._sessions.begin() as session:
                import_tasks.ask_batch(self.work_in(session), batch_id)
        except Exception as error:  # a poisoned row must not stop the others
            self._has_failed = True
            if isinstance(error, NO_DATABASE):
                raise
            log.error("Import batch %d cannot be read: %s", batch_id, type(error).__name__)  # noqa: TRY400
            with self._sessions.begin() as session:
                import_tasks.put_aside(session, batch_id)
        return True

    def work_in(self, session: Session) -> Work:
        """Return a task's collaborators in this transaction."""
        return Work(session=session, mailer=self._mailer, at=now())

    def _read_job(self, job_id: int) -> bool:
        """Do one job in a transaction; count a failure if it cannot be read.

        Returns False if the job is gone, or another worker has it.
        """
        kind = ""
        try:
            with self._sessions.begin() as session:
                job = session.get(Job, job_id, with_for_update={"skip_locked": True})
                if job is None:
                    return False
                kind = job.kind
                work = JobWork(session=session, mailer=self._mailer, at=now(), job=job)
                with suppress(Refused):
                    self._tasks[job.kind](work)
                session.delete(job)
            if posted := logs.noted(session.info).get("delivery"):
                logs.event(log, logging.INFO, "job read", job=job_id, delivery=posted)
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            self._has_failed |= kind in LOOKUPS or isinstance(error, NO_DATABASE)
            # Anyone could send an email that takes long to parse, and no one waits for it.
            is_dear = kind == pipe.RETURNED and has_idled(error)
            if isinstance(error, NO_DATABASE) and not is_dear:
                # A single row can cause it; if the database is really gone, this fails, too.
                is_slow = has_idled(error) or (is_too_slow(error) and not is_locked(error))
                rest = SLOW_JOB_REST if is_slow else LOCKED_JOB_REST
                self._put_back(job_id, due_at=now() + rest)
            else:
                # The web could have written any number, even a negative one.
                before = case((Job.failures < 0, 0), else_=Job.failures)
                self._put_back(job_id, failures=before + 1)
            log.error("Job %d cannot be read: %s", job_id, error_name(error))  # noqa: TRY400
        return True

    def _put_back(self, job_id: int, **values: Any) -> None:
        """Update a job that was not done, unless someone has locked it."""
        with self._sessions.begin() as session:
            update_if_free(session, Job, Job.id == job_id, **values)


def _make_intake(services: Services, keyring: Keyring) -> "Intake | None":
    if (location := services.settings.inbound_mailbox) is None:
        return None
    from belong_mail.inbound.intake import Intake  # noqa: PLC0415 - imaplib, for a mailbox alone

    return Intake(location, services, keyring.index)


def make_transport(settings: Settings) -> Transport:
    if settings.smtp_url.startswith("mailbox:"):
        return FolderTransport(settings.state_folder / "mailbox")
    return SmtpTransport(settings.relay)
