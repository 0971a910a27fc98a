"""What the worker does with interests: keeps them, tells each once, forgets them."""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.db import new_public_id
from belong_mail.groups.models import Group
from belong_mail.interests.models import Interest
from belong_mail.interests.service import last_day
from belong_mail.mail import address as addresses
from belong_mail.opening import BlindIndex, CannotOpen
from belong_mail.outbox import suppressions
from belong_mail.subscriptions import receiving as subscriptions
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.subscriptions.service import SEALED, Wanted

PLACE = "interests.wrapped_address"

log = logging.getLogger(__name__)


def keep(session: Session, keyring: Keyring, request: Request) -> None:
    """Keep a note, once for each address and group; a barred address leaves none."""
    group = session.get_one(Group, request.group_id)
    wanted = Wanted.from_bytes(keyring.opener.open(request.sealed or b"", SEALED))
    identity = addresses.normalise(wanted.address)
    if group.retired_at is not None or suppressions.covers(session, keyring.index, identity):
        return
    index = keyring.index.member(group.public_id, identity)
    found = select(Interest).where(Interest.group_id == group.id, Interest.address_index == index)
    interest = session.scalar(found)
    if interest is None:
        session.add(note(keyring, group, wanted))
    else:
        interest.language, interest.kept_until = wanted.language, last_day()


def note(keyring: Keyring, group: Group, wanted: Wanted) -> Interest:
    """Make the note of an address, wrapped for its row and group."""
    interest = Interest(
        public_id=new_public_id(),
        group=group,
        address_index=keyring.index.member(group.public_id, addresses.normalise(wanted.address)),
        language=wanted.language,
        kept_until=last_day(),
    )
    _wrap(keyring, interest, wanted.address)
    return interest


def waiting(session: Session, most: int) -> list[int]:
    """List interests, by id, in groups that have started."""
    started = Group.established_at.is_not(None) & Group.retired_at.is_(None)
    found = select(Interest.id).join(Group).where(started).order_by(Interest.id).limit(most)
    return list(session.scalars(found))


def tell(session: Session, keyring: Keyring, interest_id: int) -> None:
    """Ask for the one mail that says a group has started, and delete the note with it.

    The mail asks for a confirmation like any other, within the same limits, for nobody has shown
    yet that the address is theirs. Who is a member already, or barred, is told nothing.
    """
    interest = session.get(Interest, interest_id, with_for_update={"skip_locked": True})
    if interest is None:
        return
    session.delete(interest)
    try:
        address = address_of(keyring, interest)
    except CannotOpen:
        log.error("Interest %d cannot be opened.", interest_id)  # noqa: TRY400 - it names nobody
        return
    if not suppressions.covers(session, keyring.index, addresses.normalise(address)):
        wanted = Wanted(address=address, language=interest.language)
        subscriptions.ask(session, keyring, interest.group, wanted, "group-starts")


def never_mail(session: Session, keyring: Keyring, request: Request) -> None:
    """Leave an address alone in every group, also in those that have not started."""
    identity = subscriptions.never_mail(session, keyring, request)
    if identity is not None:
        forget(session, keyring.index, identity)


def all_of(session: Session, index: BlindIndex, identity: str) -> list[Interest]:
    """Find every note of a normalised address."""
    groups = session.scalars(select(Group.public_id))
    names = [index.member(public_id, identity) for public_id in groups]
    found = select(Interest).join(Group).where(Interest.address_index.in_(names))
    return list(session.scalars(found.order_by(Group.position)))


def forget(session: Session, index: BlindIndex, identity: str) -> None:
    """Delete every note of a normalised address."""
    for interest in all_of(session, index, identity):
        session.delete(interest)


def move(session: Session, keyring: Keyring, identity: str, new: str) -> None:
    """Give a person's notes a new address; where that has one already, the older note goes."""
    there = {each.group_id for each in all_of(session, keyring.index, addresses.normalise(new))}
    for interest in all_of(session, keyring.index, identity):
        if interest.group_id in there:
            session.delete(interest)
        else:
            name = keyring.index.member(interest.group.public_id, addresses.normalise(new))
            interest.address_index = name
            _wrap(keyring, interest, new)


def address_of(keyring: Keyring, interest: Interest) -> str:
    """Open a note's address, or raise CannotOpen for bytes of another row or group."""
    row = f"{interest.public_id}/{interest.group.public_id}"
    return keyring.opener.unwrap(interest.wrapped_address, PLACE, row).decode()


def _wrap(keyring: Keyring, interest: Interest, address: str) -> None:
    row = f"{interest.public_id}/{interest.group.public_id}"
    interest.wrapped_address = keyring.opener.wrap(address.encode(), PLACE, row)
