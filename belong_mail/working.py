"""A worker as a process of its own: who goes first, what stops it, how it ends."""

import gc
import os
import signal
import sys

from belong_mail import revision, sentences
from belong_mail.hold import service as hold
from belong_mail.opening import worker_keys
from belong_mail.parts import Settings, make_parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker, make_worker

NICENESS = 10
COMPILED = 16
"""Statements that stay compiled: those of each turn; those of each minute are compiled anew."""


def work(settings: Settings, *, is_draining: bool) -> None:
    """Open, index and send what waits; on SIGTERM finish what is in hand.

    Whoever waits for a page comes first: a worker is nicer to others than they are to it.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    try:
        worker = _ready(settings)
        if is_draining:
            _drain(worker)
        else:
            worker.run()
    except Exception as error:  # noqa: BLE001 - raised again unless there is a sentence about it
        sys.exit(f"Error: {sentences.about(error)}")


def _ready(settings: Settings) -> Worker:
    parts = make_parts(settings, compiled=COMPILED)
    revision.refuse_old(parts.engine)
    keyring = Keyring(*worker_keys(settings.private_keys, settings.index_keys))
    worker = make_worker(parts, keyring)
    gc.collect()
    gc.freeze()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: worker.engine.stop())
    return worker


def _drain(worker: Worker) -> None:
    """Work until nothing is due now; say what waits for later."""
    worker.drain()
    waiting = worker.waiting()
    worker.engine.close()
    if worker.held_because is not None:
        reason = hold.REASONS[worker.held_because]
        sys.exit(f"Error: Sending is on hold: {reason} See `hold status`.")
    words = ", ".join(f"{number} {state}" for state, number in waiting.items())
    sys.stdout.write(f"Waiting for later: {words}.\n" if words else "Nothing is waiting.\n")
