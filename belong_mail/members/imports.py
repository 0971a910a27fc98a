"""Import a list of members: the web seals the addresses, the worker asks each to join.

The web reads the file and seals its addresses in small batches, which it cannot open again. It
knows how many addresses there were and how many batches are left, but not who is a member. The old
list's owner can announce it first.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from sqlalchemy import JSON, ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import IdBase, Language, PublicIdBase, now
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import catalog, group_in_sentence
from belong_mail.core.links import Links
from belong_mail.core.rate_limits import IMPORT_DAY_RATE, IMPORT_MINUTE_RATE, Rate
from belong_mail.core.services import Settings
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group
from belong_mail.members.address_list import AddressList
from belong_mail.members.counts import in_tens

# Addresses sealed together, and asked in one transaction.
BATCH_SIZE: Final = 10
# The rate limit of people asked in a day.
ASKED_TODAY = b"imports/day"
MINUTE: Final = b"imports/minute"
# Noted for the check of this name until operators are told.
ASKED_NOTICE = b"notice/asked_of_lists"
BATCH_COLUMN: Final = "import_batches.sealed"
# The subject of `emails/invited-to-confirm`, which the announcement quotes.
ASKING_SUBJECT = gettext_noop("Do you want to stay on an email list of %(site_name)s?")
LINES = (
    gettext_noop("Our email list is moving"),
    gettext_noop("Hello,"),
    gettext_noop(
        "The email list of %(group)s is moving to %(site_name)s. The new list has only people who"
        " say yes, so please look for one email in the next few days."
    ),
    gettext_noop("It comes from %(sender)s, and its subject is “%(subject)s”"),
    gettext_noop(
        "To stay on the list, open the link in it and select the button. If you don’t want to, you"
        " don’t need to do anything: you get one reminder, and after three days your address is"
        " deleted."
    ),
    gettext_noop("You can also join at any time on the group’s page: %(url)s"),
    gettext_noop("If you joined there already, you won’t get that email."),
)


class Import(PublicIdBase):
    """A file that was uploaded for a group; it identifies no one."""

    __tablename__ = "imports"

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    group: Mapped[Group] = relationship()
    # Language of the emails.
    language: Mapped[str] = mapped_column(Language)
    created_at: Mapped[datetime] = mapped_column(default=now)
    # When the office started it; None: no one is asked yet.
    started_at: Mapped[datetime | None]
    # Counts and row numbers (`AddressList.report`).
    report: Mapped[dict[str, Any]] = mapped_column(JSON)


class ImportBatch(IdBase):
    """A few addresses of a file, sealed for the worker, and deleted when they were asked."""

    __tablename__ = "import_batches"

    import_id: Mapped[int] = mapped_column(ForeignKey(Import.id, ondelete="CASCADE"), index=True)
    import_: Mapped[Import] = relationship()
    size: Mapped[int]
    sealed: Mapped[bytes]
    # Failures to read it; after three it is left for an operator.
    failures: Mapped[int] = mapped_column(default=0)


def pace_within(settings: Settings) -> list[tuple[bytes, Rate]]:
    """Return the rate limits of asking, so that newsletters have most of the relay.

    A quarter of the relay's limit in a minute and in a day. As a rate allows twice as much in the
    first period after a pause, that is at most half.
    """
    pace = []
    for key, rate, most in (
        (MINUTE, IMPORT_MINUTE_RATE, settings.send_rate),
        (ASKED_TODAY, IMPORT_DAY_RATE, settings.daily_quota),
    ):
        burst = rate.burst if most is None else max(BATCH_SIZE, min(rate.burst, most // 4))
        pace.append((key, replace(rate, burst=burst)))
    return pace


class AlreadyWaiting(Exception):
    """Another file of the group has unasked addresses."""


class NotOpen(Exception):
    """No one can join the group now."""


def store(
    session: Session, sealer: Sealer, group: Group, found: AddressList, language: str
) -> Import:
    """Store a file's addresses, sealed, in place of a file that was not started.

    No one is asked before `start`. Raises NotOpen and AlreadyWaiting.
    """
    session.refresh(group, with_for_update=True)  # of two uploads at once the later is kept
    if not group.is_open:
        raise NotOpen
    before = latest(session, group)
    if before is not None and before.started_at is None:
        session.delete(before)
        session.flush()
    if is_running(session, group):
        raise AlreadyWaiting
    made = Import(group_id=group.id, language=language, report=found.report())
    session.add(made)
    session.flush()
    for first in range(0, len(found.addresses), BATCH_SIZE):
        some = found.addresses[first : first + BATCH_SIZE]
        # Sealed, so that a batch is valid for no other group or language.
        said = {"group": group.public_id, "language": language, "addresses": some}
        sealed = sealer.seal(json.dumps(said).encode(), BATCH_COLUMN)
        session.add(ImportBatch(import_id=made.id, size=len(some), sealed=sealed))
    session.flush()
    return made


def start(session: Session, found: Import) -> None:
    """Let the worker ask people. Starting twice changes nothing. Raises NotOpen."""
    session.refresh(found, with_for_update=True)
    if found.started_at is not None:
        return
    if not found.group.is_open:
        raise NotOpen
    found.started_at = now()
    number = in_tens(found.report["addresses"])
    about = f"about-{number}" if number else "a-few"
    audit.record(session, Kind.IMPORTED, group=found.group, detail=about)


def discard(session: Session, found: Import) -> None:
    """Delete an import with its unasked addresses."""
    audit.record(session, Kind.IMPORT_STOPPED, group=found.group)
    session.delete(found)


def latest(session: Session, group: Group) -> Import | None:
    """Return a group's newest import that is still stored."""
    found = select(Import).where(Import.group_id == group.id)
    return session.scalar(found.order_by(Import.id.desc()).limit(1))


def is_running(session: Session, group: Group) -> bool:
    """Return whether people of a file that was started are still to be asked."""
    left = select(ImportBatch.id).join(Import).where(Import.group_id == group.id)
    return session.scalar(left.where(Import.started_at.is_not(None)).limit(1)) is not None


def progress(session: Session, found: Import, settings: Settings) -> dict[str, int]:
    """Count who was asked, or is a member, and all; rounded to tens, 0 stands for “a few”.

    The rest takes about so many minutes, in steps of five.
    """
    counted = select(func.sum(ImportBatch.size)).where(ImportBatch.import_id == found.id)
    left = session.scalar(counted) or 0
    number: int = found.report["addresses"]
    waits = [rate.per * (left - rate.burst) / rate.burst for _, rate in pace_within(settings)]
    minutes = 5 * max(1, ceil(max(waits) / timedelta(minutes=5)))
    done, every = in_tens(number - left), in_tens(number)
    return {"done": done, "all": every, "minutes": minutes, "is_over": left == 0}


def announcement(group: Group, links: Links, sender: str, language: str) -> list[str]:
    """Return the announcement for the old list: its subject, then its paragraphs."""
    say = catalog(language).gettext
    said = {
        "group": group_in_sentence(group.name, language),
        "sender": sender,
        "subject": say(ASKING_SUBJECT),
        "url": links.page("subscriptions.join", language, slug=group.slug),
    }
    return [words % said for words in map(say, LINES)]
