"""Do the jobs of the waiting list: keep entries, tell each once, forget them."""

import logging
from contextlib import suppress

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import DecryptionError, Keyring, UnknownKey
from belong_mail.delivery import suppressions
from belong_mail.delivery.work import WRAPPED_COLUMNS, JobWork, Refused, WrappedColumn, does
from belong_mail.groups.models import Group
from belong_mail.groups.service import UNDO_LAUNCH
from belong_mail.mail import address as addresses
from belong_mail.members import erasure
from belong_mail.members import tasks as members_tasks
from belong_mail.members.jobs import NeverMail, Signup, WaitForGroup
from belong_mail.members.models import WaitlistEntry
from belong_mail.members.service import last_day

ENTRY_ADDRESS_COLUMN = "waitlist_entries.wrapped_address"
_GROUP = select(Group.public_id).where(Group.id == WaitlistEntry.group_id).scalar_subquery()
_ROW = WaitlistEntry.public_id + "/" + _GROUP
WRAPPED_COLUMNS.append(WrappedColumn(WaitlistEntry.wrapped_address, ENTRY_ADDRESS_COLUMN, _ROW))
log = logging.getLogger(__name__)


@does(WaitForGroup)
def keep_entry(work: JobWork, asked: WaitForGroup) -> None:
    """Keep a note, once for each address and group; a barred address leaves none."""
    session, keyring, group = work.session, work.keys, members_tasks.group_of(work, asked)
    identity = addresses.normalise(asked.address)
    if group.is_ending or suppressions.is_suppressed(session, keyring.index, identity):
        raise Refused
    work.require_staff(asked.address)
    index = keyring.index.member(group.public_id, identity)
    found = select(WaitlistEntry).where(
        WaitlistEntry.group_id == group.id, WaitlistEntry.address_index == index
    )
    interest = session.scalar(found)
    if interest and erasure.is_being_erased(session, keyring, identity, interest.public_id):
        session.delete(interest)
        session.flush()
        interest = None
    if interest is None:
        session.add(add_entry(keyring, group, asked))
    else:
        interest.language, interest.kept_until = asked.language, last_day()


def add_entry(keyring: Keyring, group: Group, signup: Signup) -> WaitlistEntry:
    """Make the note of an address, wrapped for its row and group."""
    entry = WaitlistEntry(
        public_id=new_public_id(),
        group=group,
        address_index=keyring.index.member(group.public_id, addresses.normalise(signup.address)),
        language=signup.language,
        kept_until=last_day(),
    )
    _wrap_entry(keyring, entry, signup.address)
    return entry


def waiting_entries(session: Session, most: int) -> list[int]:
    """List interests, by id, in groups that have started, for good."""
    started = and_(
        Group.established_at <= now() - UNDO_LAUNCH,
        Group.ends_at.is_(None),
        Group.retired_at.is_(None),
    )
    found = (
        select(WaitlistEntry.id).join(Group).where(started).order_by(WaitlistEntry.id).limit(most)
    )
    return list(session.scalars(found))


def tell_launched(session: Session, keyring: Keyring, entry_id: int) -> None:
    """Ask for the one mail that says a group has started, and delete the note with it.

    The mail asks for a confirmation like any other, within the same limits, for nobody has shown
    yet that the address is theirs. Members are told that they are in: anyone may leave a note, and
    who sees the rows would learn of a membership by a silence. Barred addresses are told nothing.
    Raises UnknownKey: then the note stays.
    """
    interest = session.get(WaitlistEntry, entry_id, with_for_update={"skip_locked": True})
    if interest is None:
        return
    session.delete(interest)
    try:
        address = entry_address(keyring, interest)
    except UnknownKey:
        raise
    except DecryptionError:
        log.error("Waiting-list entry %d cannot be opened.", entry_id)  # noqa: TRY400 - it names nobody
        return
    identity = addresses.normalise(address)
    if not erasure.is_being_erased(session, keyring, identity, interest.public_id):
        signup = Signup(address=address, language=interest.language)
        members_tasks.let_in(session, keyring, interest.group, signup, "group-starts")


@does(NeverMail)
def never_mail(work: JobWork, _asked: NeverMail) -> None:
    """Leave an address alone in every group, also in those that have not started."""
    identity = members_tasks.never_mail(work)
    if identity is not None:
        for entry in entries_of(work.session, work.keys, identity):
            work.session.delete(entry)


def entries_of(session: Session, keyring: Keyring, identity: str) -> list[WaitlistEntry]:
    """Find every note of a normalised address; one that only says it is one is left out."""
    groups = session.scalars(select(Group.public_id))
    names = [keyring.index.member(public_id, identity) for public_id in groups]
    found = select(WaitlistEntry).join(Group).where(WaitlistEntry.address_index.in_(names))
    notes = session.scalars(found.order_by(Group.position))
    return [each for each in notes if _opens(keyring, each)]


def move_entries(session: Session, keyring: Keyring, identity: str, new: str) -> None:
    """Give a person's notes a new address; where that has one already, the older note goes."""
    there = {each.group_id for each in entries_of(session, keyring, addresses.normalise(new))}
    for interest in entries_of(session, keyring, identity):
        if interest.group_id in there:
            session.delete(interest)
        else:
            name = keyring.index.member(interest.group.public_id, addresses.normalise(new))
            interest.address_index = name
            _wrap_entry(keyring, interest, new)


def entry_address(keyring: Keyring, entry: WaitlistEntry) -> str:
    """Open an entry's address; raise DecryptionError if row, group or index is another's."""
    row = f"{entry.public_id}/{entry.group.public_id}"
    opened = keyring.opener.unwrap(entry.wrapped_address, ENTRY_ADDRESS_COLUMN, row).decode()
    named = keyring.index.member(entry.group.public_id, addresses.normalise(opened))
    if named != entry.address_index:
        raise DecryptionError(ENTRY_ADDRESS_COLUMN)
    return opened


def _opens(keyring: Keyring, entry: WaitlistEntry) -> bool:
    with suppress(DecryptionError):
        return bool(entry_address(keyring, entry))
    return False


def _wrap_entry(keyring: Keyring, entry: WaitlistEntry, address: str) -> None:
    row = f"{entry.public_id}/{entry.group.public_id}"
    entry.wrapped_address = keyring.opener.wrap(address.encode(), ENTRY_ADDRESS_COLUMN, row)
