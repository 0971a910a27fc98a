"""The verbs of “my groups” for the blind web: ask for the link, open the sheet, act on it."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import sealing
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.memberships.models import Sheet
from belong_mail.sealing import Sealer
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.service import SEALED
from belong_mail.tokens import BadToken

AGE = timedelta(minutes=30)
PLACE = "sheets.locked"
LENGTH = 2048
"""Octets to which a list is filled up: its length does not tell how many memberships it holds."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the mailed secret opens: a person's subscriptions, by their public ids."""

    public_ids: list[str]
    slip: bytes
    """The same list as the worker wrapped it, which knows by this that it made the list."""
    until: datetime


def ask(
    session: Session,
    sealer: Sealer,
    address: str,
    language: str,
    due_at: datetime,
    *,
    is_staff: bool,
) -> None:
    """Write down, sealed, that somebody wants the link; only staff are told that they have none."""
    wanted = {"address": address, "language": language, "is_staff": is_staff}
    _request(session, sealer, "my-groups", due_at, **wanted)


def lock(secret: str, public_ids: list[str], slip: bytes) -> bytes:
    """Close a list so that only the secret opens it again."""
    content = {"public_ids": public_ids, "slip": base64.b64encode(slip).decode()}
    data = json.dumps(content).encode()
    return sealing.lock(secret, data + b" " * (-len(data) % LENGTH), PLACE)


def open_sheet(session: Session, secret: str) -> Listed:
    """Open the list that a link's secret is for, or raise BadToken when its time is over."""
    found = select(Sheet).where(Sheet.secret_hash == digest(secret), Sheet.expires_at > now())
    sheet = session.scalar(found)
    if sheet is None:
        raise BadToken
    try:
        content = json.loads(sealing.unlock(secret, sheet.locked, PLACE))
    except sealing.CannotUnlock as error:
        raise BadToken from error
    return Listed(content["public_ids"], base64.b64decode(content["slip"]), sheet.expires_at)


def shown(session: Session, listed: Listed) -> list[Subscription]:
    """Return the memberships of a list, and those just left, in the directory's order."""
    found = select(Subscription).join(Group).where(Subscription.public_id.in_(listed.public_ids))
    rows = session.scalars(found.order_by(Group.position))
    return [each for each in rows if each.is_active or subscriptions.can_come_back(each)]


def chosen(session: Session, secret: str, public_id: str) -> str:
    """Return the public id of one membership of the sheet; raise BadToken for any other."""
    if public_id not in open_sheet(session, secret).public_ids:
        raise BadToken
    return public_id


def ask_worker(session: Session, sealer: Sealer, kind: str, secret: str, **wanted: object) -> None:
    """Ask the worker for something that concerns a whole sheet, or raise BadToken."""
    slip = base64.b64encode(open_sheet(session, secret).slip).decode()
    _request(session, sealer, kind, now(), slip=slip, **wanted)


def erase(session: Session, sealer: Sealer, secret: str, language: str) -> None:
    """Ask the worker to delete a person's rows and mail a receipt; the sheet is over at once.

    The rows are left as they are until then: to end them here would give them one time in common.
    """
    ask_worker(session, sealer, "erase", secret, language=language)
    sheet = select(Sheet).where(Sheet.secret_hash == digest(secret))
    session.delete(session.scalars(sheet).one())


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _request(
    session: Session, sealer: Sealer, kind: str, due_at: datetime, **wanted: object
) -> None:
    sealed = sealer.seal(json.dumps(wanted).encode(), SEALED)
    session.add(Request(kind=kind, sealed=sealed, due_at=due_at))
