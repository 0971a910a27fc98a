"""The worker's entries for leads: the change of a group's shared mailbox."""

from sqlalchemy import delete

from belong_mail.core.retention import ADDRESS_CHANGE_AGE, in_batches, older_than
from belong_mail.delivery.room import Room
from belong_mail.leads import emails, tasks
from belong_mail.leads.mailbox import CONFIRM, PROPOSE, REMOVE, MailboxChange

LEADS = Room(
    emails={
        "confirm-mailbox": emails.confirm_mailbox_email,
        "mailbox-changed": emails.mailbox_changed_email,
    },
    tasks={
        PROPOSE: tasks.receive_proposal,
        CONFIRM: tasks.receive_confirmation,
        REMOVE: tasks.receive_removal,
    },
    lookups=(PROPOSE,),
    retention={
        "mailbox proposals": in_batches(
            delete(MailboxChange), older_than(MailboxChange.created_at, ADDRESS_CHANGE_AGE)
        ),
    },
    short_lived={
        "mailbox_changes.wrapped": "shared inboxes waiting for confirmation; deleted after"
        f" {ADDRESS_CHANGE_AGE.days} days",
    },
)
