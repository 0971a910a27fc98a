"""Import every room for the worker; a new room is added here.

Rules of deletion run in this order: a message to the office is deleted before its delivery.
"""

from sqlalchemy.orm import Session

import belong_mail.accounts.identity_tasks
import belong_mail.accounts.retention
import belong_mail.accounts.right_tasks
import belong_mail.accounts.tasks
import belong_mail.contact.emails
import belong_mail.groups.mailbox
import belong_mail.inbound.tasks
import belong_mail.leads.tasks
import belong_mail.meetings.retention
import belong_mail.members.emails
import belong_mail.members.reminders
import belong_mail.members.retention
import belong_mail.members.self_service_tasks
import belong_mail.newsletters.auto_pause
import belong_mail.newsletters.emails
import belong_mail.office.tasks
import belong_mail.ops.retention
import belong_mail.ops.tasks
from belong_mail.core.retention import BATCH_ROWS
from belong_mail.delivery.work import (
    EMAILS,
    LOOKUPS,
    PERIODIC_TASKS,
    RETENTION,
    TASKS,
    WRAPPED_COLUMNS,
)
from belong_mail.newsletters.issue_mailer import COPIES

# Re-exported, so that importing them imports all rooms.
__all__ = [
    "COPIES",
    "EMAILS",
    "LOOKUPS",
    "PERIODIC_TASKS",
    "RETENTION",
    "TASKS",
    "WRAPPED_COLUMNS",
]  # fmt: skip


def purge_all(session: Session) -> dict[str, int]:
    """Run every rule of deletion; return the number of rows by its name."""
    removed = dict.fromkeys(RETENTION, 0)
    for name, (do, _) in RETENTION.items():
        gone = BATCH_ROWS
        while gone == BATCH_ROWS:
            gone = do(session)
            removed[name] += gone
    return removed
