"""A group's shared mailbox, whose address only the worker can decrypt."""

from contextlib import suppress

from belong_mail.core.decryption import DecryptionError, Opener
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.header_words import tells_by_address
from belong_mail.groups.models import Group

MAILBOX_COLUMN = "groups.wrapped_mailbox"
WRAPPED_COLUMNS.append(WrappedColumn(Group.wrapped_mailbox, MAILBOX_COLUMN, Group.public_id))


def mailbox_of(opener: Opener, group: Group) -> str:
    """Return a group's mailbox, or "" if the worker did not wrap it for this group."""
    with suppress(DecryptionError):
        return opener.unwrap(group.wrapped_mailbox or b"", MAILBOX_COLUMN, group.public_id).decode()
    return ""


def reply_address(opener: Opener, group: Group) -> str:
    """Return the mailbox for replies to issues, or "" if it identifies a discreet group.

    Reply-To stands in each copy's headers, which more people see than the text.
    """
    address = mailbox_of(opener, group)
    return "" if tells_by_address(group, address) else address


def wrap_mailbox(opener: Opener, group: Group, address: str) -> None:
    group.wrapped_mailbox = opener.wrap(address.encode(), MAILBOX_COLUMN, group.public_id)
