"""What the worker does for one person's memberships: finds them, lists them, erases them."""

import base64
import hashlib
import json
import secrets
from datetime import datetime, timedelta

from sqlalchemy import and_, case, delete, or_, select, update
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import KIND as MESSAGE
from belong_mail.contact.service import PLACE as CONTACT
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.interests import receiving as interests
from belong_mail.limits import Limit
from belong_mail.mail import address as addresses
from belong_mail.memberships.models import AddressChange, Sheet
from belong_mail.memberships.service import AGE, digest, lock
from belong_mail.opening import BlindIndex, Opener
from belong_mail.outbox import service as outbox
from belong_mail.outbox import suppressions
from belong_mail.sending.models import Delivery, State
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.subscriptions.service import SEALED

LINK_RATE = limits.Rate(5, timedelta(hours=1))
NONE_RATE = limits.Rate(1, timedelta(days=1))
COPY_RATE = limits.Rate(3, timedelta(days=1))
SLIP = "sheets.slip"
TO = "deliveries.sealed_to"
ARGUMENTS = "deliveries.sealed_arguments"
CHANGE = "address_changes.wrapped"
UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


def my_groups(session: Session, keyring: Keyring, request: Request) -> None:
    """Mail the link to somebody's memberships, or that there are none."""
    wanted = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    identity = addresses.normalise(wanted["address"])
    if suppressions.covers(session, keyring.index, identity):
        return
    held = [each for each in all_of(session, keyring.index, identity) if each.is_active]
    name = keyring.index.limited(identity)
    if held and is_admitted(session, b"my-groups/" + name, LINK_RATE):
        secret = _write_sheet(session, keyring, [each.public_id for each in held])
        address = keyring.address(held[0])
        post(session, keyring, "my-groups", address, wanted["language"], secret=secret)
    elif not held and wanted["is_staff"] and is_admitted(session, b"none/" + name, NONE_RATE):
        post(session, keyring, "no-groups", wanted["address"], wanted["language"])


def my_copy(session: Session, keyring: Keyring, request: Request) -> None:
    """Mail a copy of what is held; it is collected when it is written."""
    wanted, held = read_slip(session, keyring, request)
    if held:
        address = keyring.address(held[0])
        key = b"my-copy/" + keyring.index.limited(addresses.normalise(address))
        due_at = limits.admit(session, key, COPY_RATE, now())
        post(session, keyring, "my-copy", address, wanted["language"], due_at=due_at)


def erase(session: Session, keyring: Keyring, request: Request) -> None:
    """Delete what is held about a person, and mail a receipt that names no group."""
    wanted, held = read_slip(session, keyring, request)
    if not held:
        return
    address = keyring.address(held[0])
    identity = addresses.normalise(address)
    rows = all_of(session, keyring.index, identity)
    for message in messages_of(session, keyring.opener, identity):
        if _is_mailed(session, message):
            session.delete(message)
    _forget_changes(session, keyring, {each.public_id for each in rows})
    interests.forget(session, keyring.index, identity)
    forget(session, rows)
    post(session, keyring, "erased", address, wanted["language"])


def all_of(session: Session, index: BlindIndex, identity: str) -> list[Subscription]:
    """Find every subscription of a normalised address: the one place where they meet."""
    groups = session.scalars(select(Group.public_id))
    names = [index.member(public_id, identity) for public_id in groups]
    found = select(Subscription).join(Group).where(Subscription.address_index.in_(names))
    return list(session.scalars(found.order_by(Group.position)))


def messages_of(session: Session, opener: Opener, identity: str) -> list[ContactMessage]:
    """Find the messages to us, still kept, whose writer gave a normalised address."""
    kept = session.scalars(select(ContactMessage).order_by(ContactMessage.id))
    written = [(each, json.loads(opener.open(each.sealed, CONTACT))["address"]) for each in kept]
    return [each for each, given in written if given and addresses.normalise(given) == identity]


def read_slip(
    session: Session, keyring: Keyring, request: Request
) -> tuple[dict[str, str], list[Subscription]]:
    """Open a request that concerns a sheet: what was wanted, and the subscriptions it is for.

    Raises CannotOpen for a list that the worker did not make: nobody else can join memberships.
    """
    wanted: dict[str, str] = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    ids = json.loads(keyring.opener.unwrap(base64.b64decode(wanted["slip"]), SLIP, ""))
    found = select(Subscription).where(Subscription.public_id.in_(ids))
    return wanted, list(session.scalars(found.with_for_update(of=Subscription)))


def forget(session: Session, rows: list[Subscription]) -> None:
    """Delete subscriptions. What waits for them stays here; what was sent forgets its reader.

    What is withdrawn gets the time of its own issue, so that no moment joins a person's groups.
    """
    ids = [each.id for each in rows]
    about = and_(Delivery.kind == "introduce-member", Delivery.about_id.in_(ids))
    theirs = update(Delivery).where(or_(Delivery.subscription_id.in_(ids), about))
    theirs = theirs.execution_options(synchronize_session=False)
    state = case(
        (Delivery.state == State.SENDING, State.UNCERTAIN.value), else_=State.WITHDRAWN.value
    )
    waiting = theirs.where(Delivery.state.in_(UNFINISHED))
    session.execute(waiting.values(state=state, finished_at=Delivery.created_at))
    session.execute(theirs.values(subscription_id=None, about_id=None, due_at=None))
    session.execute(delete(Subscription).where(Subscription.id.in_(ids)))


def post(
    session: Session,
    keyring: Keyring,
    kind: str,
    address: str,
    language: str,
    due_at: datetime | None = None,
    **said: str,
) -> None:
    """Ask for a mail to an address that is no subscription's; what it says opens only beside it."""
    to = keyring.opener.wrap(address.encode(), TO, "")
    content = json.dumps({"language": language, **said}).encode()
    arguments = keyring.opener.wrap(content, ARGUMENTS, _name(to))
    outbox.post(session, kind, sealed_to=to, sealed_arguments=arguments, due_at=due_at)


def read(opener: Opener, delivery: Delivery) -> tuple[str, dict[str, str]]:
    """Return to whom such a mail goes and what it says, or raise CannotOpen."""
    to = delivery.sealed_to or b""
    said = opener.unwrap(delivery.sealed_arguments or b"", ARGUMENTS, _name(to))
    return opener.unwrap(to, TO, "").decode(), json.loads(said)


def is_admitted(session: Session, key: bytes, rate: limits.Rate) -> bool:
    """Tell whether something may happen now, and count it only then: asking more delays nothing."""
    at = now()
    used_until = session.scalar(select(Limit.used_until).where(Limit.key == key)) or 0.0
    allowed, _used = limits.next_use(used_until, rate, at.timestamp())
    return allowed <= at.timestamp() and limits.admit(session, key, rate, at) <= at


def _write_sheet(session: Session, keyring: Keyring, public_ids: list[str]) -> str:
    """Lock a list of memberships away and return the secret that opens it."""
    secret = secrets.token_urlsafe(32)
    slip = keyring.opener.wrap(json.dumps(public_ids).encode(), SLIP, "")
    locked = lock(secret, public_ids, slip)
    session.add(Sheet(secret_hash=digest(secret), locked=locked, expires_at=now() + AGE))
    return secret


def _is_mailed(session: Session, message: ContactMessage) -> bool:
    """Tell whether whom it was written to has got it; nobody's words are lost on the way."""
    mails = select(Delivery.state).where(Delivery.kind == MESSAGE, Delivery.about_id == message.id)
    return set(session.scalars(mails)) <= {State.ACCEPTED}


def _forget_changes(session: Session, keyring: Keyring, public_ids: set[str]) -> None:
    """Delete the address changes that wait for any of these subscriptions."""
    for change in session.scalars(select(AddressChange).where(AddressChange.wrapped != b"")):
        opened = keyring.opener.unwrap(change.wrapped, CHANGE, change.public_id)
        if public_ids & set(json.loads(opened)["public_ids"]):
            session.delete(change)


def _name(sealed_to: bytes) -> str:
    return hashlib.sha256(sealed_to).hexdigest()
