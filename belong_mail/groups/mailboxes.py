"""The mailbox that a group's leads share: the worker's half, which alone can name it."""

from contextlib import suppress

from belong_mail.groups.models import Group
from belong_mail.opening import CannotOpen, Opener

PLACE = "groups.wrapped_mailbox"


def of(opener: Opener, group: Group) -> str:
    """Return a group's mailbox, or nothing: what the worker did not wrap for it is not believed."""
    with suppress(CannotOpen):
        return opener.unwrap(group.wrapped_mailbox or b"", PLACE, group.public_id).decode()
    return ""


def keep(opener: Opener, group: Group, address: str) -> None:
    group.wrapped_mailbox = opener.wrap(address.encode(), PLACE, group.public_id)
