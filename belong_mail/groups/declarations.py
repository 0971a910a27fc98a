"""What the worker must know of groups."""

from belong_mail.delivery.room import Room
from belong_mail.delivery.work import WrappedColumn
from belong_mail.groups.mailbox import MAILBOX_COLUMN
from belong_mail.groups.models import Group

GROUPS = Room(wrapped=(WrappedColumn(Group.wrapped_mailbox, MAILBOX_COLUMN, Group.public_id),))
