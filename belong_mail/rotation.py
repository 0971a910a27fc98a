"""Changing the worker's key: what an older one wrapped is wrapped anew, a little at a time."""

from typing import Any

from sqlalchemy import LargeBinary, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.accounts.inviting import PLACE as OF_ACCOUNT
from belong_mail.accounts.models import Account
from belong_mail.db import Base
from belong_mail.groups.mailboxes import PLACE as OF_MAILBOX
from belong_mail.groups.models import Group
from belong_mail.interests.models import Interest
from belong_mail.interests.receiving import PLACE as OF_INTEREST
from belong_mail.newsletters.letters import WIRE
from belong_mail.newsletters.models import Frozen, Newsletter
from belong_mail.opening import CannotOpen, Opener
from belong_mail.sealing import HEAD, SEALED, WRAPPED
from belong_mail.subscriptions.models import Subscription, Wish

BATCH, FEW = 500, 5
"""Rows in one transaction; issues, which may be of megabytes."""
OF_ADDRESS, OF_NAME, OF_INTRODUCTION = (
    f"subscriptions.wrapped_{each}" for each in ("address", "name", "introduction")
)
Column = InstrumentedAttribute[Any]

_OWNER = select(Subscription.public_id).where(Subscription.id == Wish.subscription_id)
_AWAITED = select(Group.public_id).where(Group.id == Interest.group_id)
_ISSUE = select(Newsletter.public_id).where(Newsletter.id == Frozen.newsletter_id)
_NOTE = Interest.public_id + "/" + _AWAITED.scalar_subquery()
LASTING: tuple[tuple[Column, str, Any, int], ...] = (
    (Account.wrapped_address, OF_ACCOUNT, Account.public_id, BATCH),
    (Group.wrapped_mailbox, OF_MAILBOX, Group.public_id, BATCH),
    (Interest.wrapped_address, OF_INTEREST, _NOTE, BATCH),
    (Subscription.wrapped_address, OF_ADDRESS, Subscription.public_id, BATCH),
    (Subscription.wrapped_name, OF_NAME, Subscription.public_id, BATCH),
    (Subscription.wrapped_introduction, OF_INTRODUCTION, Subscription.public_id, BATCH),
    (Wish.wrapped_name, OF_NAME, _OWNER.scalar_subquery(), BATCH),
    (Wish.wrapped_introduction, OF_INTRODUCTION, _OWNER.scalar_subquery(), BATCH),
    (Frozen.wire, WIRE, _ISSUE.scalar_subquery() + "/" + Frozen.language, FEW),
)
"""What is kept for long: its column, its place, its row's name, how many at a time.

Everything else is gone after days, or sealed anew.
"""


def rewrap(session: Session, opener: Opener, most: int = BATCH) -> int:
    """Wrap some of what older keys wrapped under the newest; return how many, 0 when all is done.

    It goes on wherever it was cut off, for each row tells its key. What a member changes meanwhile
    stays as they changed it.
    """
    done = 0
    if opener.older:
        for column, place, row, batch in LASTING:
            done += _rewrap(session, opener, column, place, row, min(batch, most - done))
    return done


def left(session: Session, opener: Opener) -> int:
    """Count what still needs an older key, in every column of every table."""
    older = [kind + name for kind in (SEALED, WRAPPED) for name in opener.older]
    counts = (
        session.scalar(select(func.count()).where(_head(column).in_(older)))
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    )
    return sum(count or 0 for count in counts) if older else 0


def _rewrap(
    session: Session, opener: Opener, column: Column, place: str, row: Any, most: int
) -> int:
    keys = column.class_.__table__.primary_key.columns
    older = [WRAPPED + name for name in opener.older]
    found = select(column, row, *keys).where(_head(column).in_(older)).order_by(*keys)
    done = 0
    for wrapped, name, *values in session.execute(found.limit(most)).all():
        try:
            fresh = opener.wrap(opener.unwrap(wrapped, place, name), place, name)
        except CannotOpen:
            continue
        same = (key == value for key, value in zip(keys, values, strict=True))
        unchanged = update(column.class_).where(*same, column == wrapped)
        session.execute(unchanged.values({column.key: fresh}))
        done += 1
    return done


def _head(column: Any) -> Any:
    return func.substr(column, 1, HEAD, type_=LargeBinary)
