"""All that rooms declare for the worker: a new room is entered here.

Rows are removed in the order of rooms, so that a message to the office goes before the record of
its delivery. `purge_all` removes at once what the worker removes each minute.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

import belong_mail.accounts.emails
import belong_mail.accounts.identity_tasks
import belong_mail.accounts.retention
import belong_mail.accounts.right_tasks
import belong_mail.accounts.tasks
import belong_mail.contact.emails
import belong_mail.contact.retention
import belong_mail.groups.mailbox
import belong_mail.inbound.tasks
import belong_mail.leads.emails
import belong_mail.leads.tasks
import belong_mail.meetings.retention
import belong_mail.newsletters.emails
import belong_mail.newsletters.retention
import belong_mail.office.group_retirement_tasks
import belong_mail.office.settings_tasks
import belong_mail.ops.tasks
from belong_mail.core.db import now
from belong_mail.core.retention import BATCH_ROWS
from belong_mail.delivery.room import MailerTask, Room, Task
from belong_mail.delivery.work import (
    CHORES,
    COPIES,
    EMAILS,
    LOOKUPS,
    RETENTION,
    SHORT_LIVED,
    TASKS,
    WRAPPED_COLUMNS,
    JobWork,
)
from belong_mail.members.declarations import MEMBERS

# Readers take these from here, where all is entered.
__all__ = [
    "CHORES", "COPIES", "EMAILS", "LOOKUPS", "RETENTION", "SHORT_LIVED", "TASKS", "WRAPPED_COLUMNS",
]  # fmt: skip


def _task(do: Task) -> Callable[[JobWork], None]:
    return lambda work: do(work.session, work.keys, work.job)


def _mailer_task(do: MailerTask) -> Callable[[JobWork], None]:
    return lambda work: do(work.mailer, work.session, work.keys, work.job)


def _enter(room: Room) -> None:
    """Enter what a room declares in a table."""
    for kind, email in room.emails.items():
        EMAILS[kind] = email
    for kind, copy in room.copies.items():
        COPIES[kind] = copy
    for kind, task in room.tasks.items():
        TASKS[kind] = _task(task)
    for kind, mailer_task in room.mailer_tasks.items():
        TASKS[kind] = _mailer_task(mailer_task)
    for name, rule in room.retention.items():
        RETENTION[name] = rule
    for name, words in room.short_lived.items():
        SHORT_LIVED[name] = words
    LOOKUPS.update(room.lookups)
    WRAPPED_COLUMNS.extend(room.wrapped)


for each in (MEMBERS,):
    _enter(each)

import belong_mail.ops.retention  # noqa: E402 - behind what the rooms above declare


def purge_all(session: Session, at: datetime | None = None) -> dict[str, int]:
    """Remove all that is over; return how many rows of each kind went."""
    at = at or now()
    removed = dict.fromkeys(RETENTION, 0)
    for name, rule in RETENTION.items():
        gone = BATCH_ROWS
        while gone == BATCH_ROWS:
            gone = rule(session, at)
            removed[name] += gone
    return removed
