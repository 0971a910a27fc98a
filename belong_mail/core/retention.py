"""The ages at which data is deleted, each with its reason, and the rules that delete rows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

# A request to join that was not confirmed: its link works for three days, and on each of them
# another may be asked for.
PENDING_CONFIRMATION_AGE = timedelta(days=7)
# The same for people on an imported list, who did not ask: only as long as their link works.
INVITED_AGE = timedelta(hours=72)
# An imported list that was never started; and one that was, as the relay's limits may delay some of
# its addresses.
UNSTARTED_IMPORT_AGE = timedelta(days=1)
IMPORT_AGE = timedelta(days=30)
# An ended membership: one that ended by a bounce can be restored until then.
ENDED_AGE = timedelta(days=30)
# An unconfirmed change of a member's or a group's address: as a request to join.
ADDRESS_CHANGE_AGE = timedelta(days=7)
# A request to be notified when a group starts: the wish was for this school year, and it stores an
# address of someone who is not a member.
WAITLIST_AGE = timedelta(days=365)
# An invitation to lead that was not accepted; its link works for a week.
INVITATION_AGE = timedelta(days=8)
# Sign-in links and sessions, which expire after ten minutes and twelve hours.
SESSION_AGE = timedelta(days=1)
# A finished delivery of a single email, and a message to the office or to leaders once it was sent:
# a bounce may be late, and an operator may be asked about it.
DELIVERY_AGE = timedelta(days=30)
# A delivery of a newsletter, of which only counts remain. Mailbox full at five issues within a year
# ends a membership, so all five must still be known.
COPY_AGE = timedelta(days=400)
# Recipient and words of a delivery: it may bounce soon, and an operator looks on the same day.
ARGUMENTS_AGE = timedelta(days=1)
# Returned messages in the mailbox's read folder, for operators. Keyed hashes of returned messages
# are kept as long as the delivery that one could be about.
READ_MAIL_AGE = timedelta(days=7)
INBOUND_DIGEST_AGE = DELIVERY_AGE
# Results of the last polls of a mailbox that is no longer polled.
UNTRIED_MAILBOX_AGE = timedelta(days=1)
# A sent reminder of a day's meeting, so that no one is reminded twice.
REMINDER_AGE = timedelta(days=30)
# A thread with a receipt code, after its last message: as any message to the office.
THREAD_MAX_AGE = timedelta(days=30)
# A meeting after its last day or its cancellation: calendars may still fetch the change.
MEETING_AGE = timedelta(days=90)
# An audit entry: questions about last school year can be answered. A trigger of SQLite has the same
# number of days in it, so another one needs a migration.
AUDIT_AGE = timedelta(days=730)
# A job that could not be read, after it was due: an operator has a week to restore the key.
UNREADABLE_AGE = timedelta(days=7)
# Counts of messages in each minute, from which the relay's daily quota is computed.
SENT_PER_MINUTE_AGE = timedelta(days=2)
# Rows with an expiry of their own, such as the list behind a “my groups” link.
NO_AGE = timedelta(0)
# Until every row of a person who asked for it is erased.
ERASED_WITHIN = timedelta(days=2)
# Rows deleted in one transaction, so that no one waits long for it.
BATCH_ROWS = 500


# Deletes rows of one kind and returns their number (BATCH_ROWS: there may be more), if any is due.
Rule = tuple[Callable[[Session], int], ColumnElement[bool]]


def in_batches(statement: Any, *which: ColumnElement[bool]) -> Rule:
    """Return a rule that runs an UPDATE or DELETE on a model's first rows that nobody has locked.

    The rule is built once, so `which` needs `db.ago` for times.
    """
    model = statement.entity_description["entity"]
    found = select(model.id).where(*which).limit(BATCH_ROWS).with_for_update(skip_locked=True)

    def do(session: Session) -> int:
        ids = list(session.scalars(found))
        if ids:
            some = statement.where(model.id.in_(ids))
            session.execute(some.execution_options(synchronize_session=False))
        return len(ids)

    return do, exists().select_from(model).where(*which)
