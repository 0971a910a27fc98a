"""Self-service without an account: “My groups”, change of address, personal calendar."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import encryption, rate_limits
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.rate_limits import USED_LINK_RATE, Limit
from belong_mail.core.tokens import BadToken, link_hash, secret_hash
from belong_mail.groups.models import Group
from belong_mail.members import service as members
from belong_mail.members.jobs import Erase, ForList, Lift, MoveAddress
from belong_mail.members.models import AddressChange, ManageSession, Subscription

LINK_MAX_AGE = timedelta(minutes=30)
LIST_COLUMN = "manage_sessions.locked"
# Bytes to which the list is padded, to hide its length.
PADDED_OCTETS = 2048
# Hexadecimal digits that tell versions apart; the link's signature is its protection.
STAMP_DIGITS = 16
SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """The memberships in a manage session, decrypted with the link's secret."""

    public_ids: list[str]
    # The list as the worker wrapped it: proof to the worker that it made the list.
    permit: bytes
    until: datetime
    # Whether the address is not the district's, so that it cannot be changed.
    is_personal: bool


def ask_to_lift(session: Session, sealer: Sealer, permission: str) -> None:
    """Queue a job with the permission in an emailed link, which the worker verifies.

    Each link queues one job; used links are remembered as long as they work.
    """
    if rate_limits.try_use(session, _used(permission), USED_LINK_RATE, now(), table=Limit):
        Lift(permission).ask(session, sealer)


def is_lift_asked(session: Session, permission: str) -> bool:
    """Return whether a link was used."""
    return rate_limits.remaining(session, _used(permission), USED_LINK_RATE, now(), Limit) == 0


def _used(permission: str) -> bytes:
    """Return a hash of a permission, so that the database does not show which was used."""
    return b"lifted/" + secret_hash(permission)[:16]


def open_session(session: Session, secret: str) -> OpenedSession:
    """Decrypt the list of a link's secret. Raises BadToken if the link has expired.

    Also raises it if a membership has moved or was deleted: then the link went to an address that
    is no longer the person's, or was erased.
    """
    found = _manage_session(session, secret)
    try:
        listed = json.loads(encryption.decrypt_with_secret(secret, found.locked, LIST_COLUMN))
    except encryption.UnlockError as error:
        raise BadToken from error
    indexes: dict[str, str] = listed["indexes"]
    held = select(Subscription.public_id, Subscription.address_index)
    rows = session.execute(held.where(Subscription.public_id.in_(indexes)))
    public_ids = [public_id for public_id, index in rows if index.hex() == indexes[public_id]]
    if not public_ids or len(public_ids) < len(indexes):
        raise BadToken
    permit = base64.b64decode(listed["slip"])
    return OpenedSession(public_ids, permit, found.expires_at, listed["is_personal"])


def _manage_session(session: Session, secret: str) -> ManageSession:
    found = select(ManageSession).where(
        ManageSession.secret_hash == secret_hash(secret), ManageSession.expires_at > now()
    )
    return required(session.scalar(found), BadToken)


def list_memberships(session: Session, listed: OpenedSession) -> list[Subscription]:
    """Return the memberships in a list, also those just left, in the directory's order."""
    found = select(Subscription).join(Group).where(Subscription.public_id.in_(listed.public_ids))
    rows = session.scalars(found.order_by(Group.position))
    return [each for each in rows if each.is_active or members.can_undo_leave(each)]


def ask_worker(
    session: Session,
    sealer: Sealer,
    job: type[ForList],
    secret: str,
    due_at: datetime | None = None,
    **wanted: str,
) -> None:
    """Queue a job about all memberships in a manage session. Raises BadToken."""
    permit = base64.b64encode(open_session(session, secret).permit).decode()
    job(slip=permit, **wanted).ask(session, sealer, due_at=due_at or now())


def erase(session: Session, sealer: Sealer, secret: str, language: str) -> None:
    """Queue the erasure of a person, and close their manage session.

    The web does not change the rows: a common time would show that they are one person's.
    """
    ask_worker(session, sealer, Erase, secret, language=language)
    session.delete(_manage_session(session, secret))


def get_change(session: Session, secret: str, *, is_locked: bool = False) -> AddressChange:
    """Find the change of address of a link. Raises BadToken if there is none."""
    found = select(AddressChange).where(AddressChange.public_id == link_hash(secret))
    return required(session.scalar(found.with_for_update() if is_locked else found), BadToken)


def confirm_change(session: Session, sealer: Sealer, secret: str) -> None:
    """Confirm a new address, and queue the move. Confirming twice changes nothing."""
    change = get_change(session, secret, is_locked=True)
    if change.confirmed_at is None:
        change.confirmed_at = now()
        MoveAddress(secret).ask(session, sealer)


def lock_list(secret: str, held: list[Subscription], permit: bytes, *, is_personal: bool) -> bytes:
    """Encrypt a list of memberships with a secret; their current indexes are included."""
    content = {
        "indexes": {each.public_id: each.address_index.hex() for each in held},
        "slip": base64.b64encode(permit).decode(),
        "is_personal": is_personal,
    }
    data = json.dumps(content).encode()
    padded = data + b" " * (-len(data) % PADDED_OCTETS)
    return encryption.encrypt_with_secret(secret, padded, LIST_COLUMN)


def calendar_name(subscription: Subscription) -> str:
    """Return the id that a member's calendar link signs.

    It changes when the member leaves and rejoins, and when the address changes, as someone else may
    read the old mailbox by then.
    """
    return f"{subscription.public_id}{SEPARATOR}{_stamp(subscription)}"


def calendar_owner(session: Session, signed: str) -> Subscription:
    """Return the member of a calendar link. Raises BadToken if they have left or moved."""
    public_id, _, stamp = signed.partition(SEPARATOR)
    subscription = members.get(session, public_id)
    if not subscription.is_active or stamp != _stamp(subscription):
        raise BadToken
    return subscription


def _stamp(subscription: Subscription) -> str:
    since = subscription.confirmed_at.timestamp() if subscription.confirmed_at else 0.0
    said = subscription.address_index + f"{since:.0f}".encode()
    return hashlib.sha256(said).hexdigest()[:STAMP_DIGITS]
