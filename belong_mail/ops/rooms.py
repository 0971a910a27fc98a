"""What all rooms declare, joined: a new room is entered here, what it has in its declarations.

`purge_all` removes at once what the worker removes each minute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from itertools import chain

from sqlalchemy.orm import Session

from belong_mail.accounts.declarations import ACCOUNTS
from belong_mail.contact.declarations import CONTACT
from belong_mail.core.db import now
from belong_mail.core.retention import BATCH_ROWS
from belong_mail.delivery.room import Room
from belong_mail.groups.declarations import GROUPS
from belong_mail.inbound.declarations import INBOUND
from belong_mail.leads.declarations import LEADS
from belong_mail.meetings.declarations import MEETINGS
from belong_mail.members.declarations import MEMBERS
from belong_mail.newsletters.declarations import NEWSLETTERS
from belong_mail.office.declarations import OFFICE
from belong_mail.ops.declarations import OPS


class DeclaredTwice(Exception):
    """Two rooms declare the same kind."""


def joined(rooms: Iterable[Room]) -> Room:
    """Return all declarations as if of one room, in the order of rooms, or raise DeclaredTwice."""
    listed = list(rooms)
    values: dict[str, object] = {}
    for name in (each.name for each in fields(Room)):
        declared = [getattr(room, name) for room in listed]
        if isinstance(declared[0], Mapping):
            _refuse_twice(name, declared)
            values[name] = dict(chain.from_iterable(each.items() for each in declared))
        else:
            values[name] = tuple(chain.from_iterable(declared))
    return Room(**values)  # type: ignore[arg-type]


def _refuse_twice(name: str, declared: Iterable[Mapping[str, object]]) -> None:
    counts = Counter(chain.from_iterable(declared))
    if twice := [kind for kind, number in counts.items() if number > 1]:
        raise DeclaredTwice(f"{name}: {', '.join(twice)}")


# In this order rows are removed: a message to the office before the record of its delivery.
ROOMS = (GROUPS, ACCOUNTS, CONTACT, MEETINGS, MEMBERS, INBOUND, NEWSLETTERS, LEADS, OFFICE, OPS)
ALL = joined(ROOMS)


def purge_all(session: Session, at: datetime | None = None) -> dict[str, int]:
    """Remove all that is over; return how many rows of each kind went."""
    at = at or now()
    removed = dict.fromkeys(ALL.retention, 0)
    for name, rule in ALL.retention.items():
        gone = BATCH_ROWS
        while gone == BATCH_ROWS:
            gone = rule(session, at)
            removed[name] += gone
    return removed
