"""Sample members, newsletters and meetings for development."""

import secrets
from collections.abc import Callable
from datetime import date, time, timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import Keyring
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.meetings.models import Meeting
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import wrap_address, wrap_field
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter

DEMO_LEAD = "sample.lead@example.org"
NAMES = ("Ada", "Ben", "Carmen", "Dinh", "Esther", "Farid", "Grace", "Hugo", "Inés", "Joe")
ROWS_AT_ONCE = 1000


ISSUE = """Hello, everyone,

This is a **sample newsletter**, so that you can see how one looks.

## What we will do this month

- A walk around Sloan’s Lake
- Tea and an open door in the library
- One evening to plan the spring

Questions? Just reply to this email.
"""


# Group, rule, weekday (0 is Monday), time, title in English and Spanish.
MEETINGS = (
    ("the-village", "weekly-2", 1, time(16), "Tea and an open door", "Té y puertas abiertas"),
    ("asian", "monthly", 3, time(16, 30), "Company and a walk", "Compañía y un paseo"),
    ("lgbtq", "weekly-4", 2, time(17), "", ""),
)


THREE_MONTHS = timedelta(days=91)
DRAFT = """We are collecting ideas for the spring. *(A sample draft: it waits here until someone
finishes it.)*
"""


def add_members(
    session: Session,
    keyring: Keyring,
    group: Group,
    number: int,
    told: Callable[[int], object] = lambda _number: None,
) -> None:
    """Add made-up confirmed members at example.org to a group, in bulk."""
    batch = secrets.token_hex(3)
    at = now()
    for start in range(0, number, ROWS_AT_ONCE):
        rows = [
            _member(keyring, group, f"member-{batch}-{each}@example.org", NAMES[each % 10])
            | {"confirmed_at": at}
            for each in range(start, min(start + ROWS_AT_ONCE, number))
        ]
        session.execute(insert(Subscription), rows)
        told(len(rows))


def _member(keyring: Keyring, group: Group, address: str, name: str) -> dict[str, object]:
    public_id = new_public_id()
    return {
        "public_id": public_id,
        "group_id": group.id,
        "address_index": keyring.index.member(group.public_id, address),
        "wrapped_address": wrap_address(keyring, address, public_id, group),
        "wrapped_name": wrap_field(keyring, name, "wrapped_name", public_id),
        "language": "es" if name in {"Carmen", "Inés", "Hugo"} else "en",
        "is_suppressed": False,
    }


def fill_demo(session: Session, keyring: Keyring) -> None:
    """Add sample members, a leader, newsletters and meetings, if there are no newsletters."""
    if session.scalar(select(func.count(Newsletter.id))):
        return
    established = [group for group in groups.listed(session) if group.is_open]
    for group in established:
        add_members(session, keyring, group, 5)
    village = groups.find(session, "the-village")
    if village is None:
        return
    invitations.invite(session, keyring, village, DEMO_LEAD)
    newsletters.draft(session, village, "Ideas for the spring (sample draft)", DRAFT)
    issue = newsletters.draft(session, village, "This month with us (sample)", ISSUE)
    release.release(session, issue, now())
    _add_meetings(session)


def _add_meetings(session: Session) -> None:
    """Add three months of meetings, some in a discreet group and some for families."""
    today = now().date()
    for slug, repeats, weekday, hour, english, spanish in MEETINGS:
        group = groups.find(session, slug)
        first = _on_or_after(weekday, today)
        if repeats == "monthly":
            first = _on_or_after(weekday, first.replace(day=1))
        meeting = Meeting(
            group=group,
            title={"en": f"{english} (sample)".strip(), "es": f"{spanish} (ejemplo)".strip()},
            starts_on=first,
            starts_at=hour,
            ends_at=hour.replace(hour=hour.hour + 1),
            repeats=repeats,
            until=today + THREE_MONTHS,
            place="Room 4 (sample)",
            is_open=slug == "the-village",
            spoken="both",
            access=["step-free", "captions"],
            has_families=slug == "asian",
        )
        session.add(meeting)


def _on_or_after(weekday: int, day: date) -> date:
    return day + timedelta(days=(weekday - day.weekday()) % 7)
