"""The worker process: its priority, signals and exit status."""

import gc
import logging
import os
import signal
import sys
from functools import partial

from belong_mail.core import db, logs
from belong_mail.core.decryption import worker_keys
from belong_mail.core.services import Settings, make_services
from belong_mail.ops import hold, user_errors
from belong_mail.worker.loop import Worker

log = logging.getLogger(__name__)
NICENESS = 10


def run_worker(settings: Settings, *, is_draining: bool) -> None:
    """Run the worker until SIGTERM, or with `is_draining` until nothing is due."""
    # On SQLite, a worker with the write lock and no processor time would block everyone.
    if not settings.database_url.startswith("sqlite"):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    try:
        worker = _make_ready(settings)
        gc.freeze()  # what was loaded stays, and looking through it would stop email for 80 ms
        gc.enable()
        if is_draining:
            _drain(worker)
            return
        logs.configure(settings.log_format, "worker")
        logs.event(log, logging.INFO, "started", process=os.getpid())
        worker.run()
        logs.event(log, logging.INFO, "stopped", process=os.getpid())
    except OSError as error:
        sys.exit(f"Error: {user_errors.folder_error_message(error)}")
    except Exception as error:  # noqa: BLE001 - raised again unless there is a sentence about it
        sys.exit(f"Error: {user_errors.error_message(error)}")


def _make_ready(settings: Settings) -> Worker:
    services = make_services(settings)
    db.require_current_schema(services.engine)
    keyring = worker_keys(settings.private_keys, settings.index_keys)
    worker = Worker(services, keyring)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: worker.engine.stop())
    return worker


def _drain(worker: Worker) -> None:
    """Work until nothing is due; then print what waits for later."""
    is_told = sys.stderr.isatty()
    worker.drain(partial(_tell, worker) if is_told else None)
    waiting = worker.waiting()
    worker.close()
    if is_told:
        sys.stderr.write("\n")
    if worker.held_because is not None:
        reason = hold.REASONS[worker.held_because]
        sys.exit(f"Error: Sending is on hold: {reason} See `hold status`.")
    words = hold.in_words(waiting)
    sys.stdout.write(f"Waiting for later: {words}.\n" if words else "Nothing is waiting.\n")


def _tell(worker: Worker) -> None:
    """Show a progress line on the terminal."""
    sys.stderr.write(f"\rStill waiting: {hold.in_words(worker.waiting())}\033[K")
    sys.stderr.flush()
