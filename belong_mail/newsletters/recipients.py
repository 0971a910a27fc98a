"""Who gets an issue that goes to one interest: the worker alone can tell, and forgets it."""

import logging
from datetime import datetime

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session

from belong_mail.core.decryption import DecryptionError, Opener
from belong_mail.core.retention import INTEREST_READERS_AGE, Rule
from belong_mail.delivery.models import Delivery
from belong_mail.members import erasure
from belong_mail.members.models import Subscription
from belong_mail.members.ticks import open_ticks
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import receives

# Rows that are in memory at once.
ROWS_AT_ONCE = 500
log = logging.getLogger(__name__)


def members_with_interest(opener: Opener, session: Session, newsletter: Newsletter) -> list[int]:
    """List who ticked an issue's interest, of those who would get an issue to the whole group.

    A list that does not open as its own row's is left out, as is whoever is being erased.
    """
    interest = newsletter.interest
    if interest is None or interest.group_id != newsletter.group_id:
        return []
    erasure.leave_out(session, opener, newsletter.group)
    chosen: list[int] = []
    last = 0
    while rows := session.execute(_next(newsletter, last)).all():
        for number, public_id, wrapped in rows:
            if _has_ticked(opener, newsletter, interest.public_id, public_id, wrapped):
                chosen.append(number)
        last = rows[-1][0]
    return chosen


def _next(newsletter: Newsletter, last: int) -> Select[int, str, bytes | None]:
    found = select(Subscription.id, Subscription.public_id, Subscription.wrapped_ticks).where(
        Subscription.group_id == newsletter.group_id,
        Subscription.id > last,
        *receives(newsletter.queued_at),
    )
    in_turn = found.order_by(Subscription.id).limit(ROWS_AT_ONCE)
    return in_turn.with_for_update(read=True, key_share=True, of=Subscription)


def _has_ticked(
    opener: Opener, newsletter: Newsletter, interest: str, public_id: str, wrapped: bytes | None
) -> bool:
    try:
        return interest in open_ticks(opener, wrapped, public_id, newsletter.group.public_id)
    except DecryptionError:
        log.warning("The interests of a member of newsletter %d do not open.", newsletter.id)
        return False


def _have_readers(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Newsletter.interest_id.is_not(None),
        Newsletter.readers_forgotten_at.is_(None),
        Newsletter.queued_at < at - INTEREST_READERS_AGE,
    )


def _forget_readers(session: Session, at: datetime) -> int:
    """Let the copies of issues to an interest forget whom they were for; return how many did.

    An issue of which copies still wait is looked at again.
    """
    found = select(Newsletter).where(*_have_readers(at))
    number = 0
    for newsletter in session.scalars(found.with_for_update(skip_locked=True)):
        copies = Delivery.newsletter_id == newsletter.id, Delivery.subscription_id.is_not(None)
        over = update(Delivery).where(
            *copies, Delivery.finished_at.is_not(None), Delivery.due_at.is_(None)
        )
        told = session.execute(
            over.values(subscription_id=None).execution_options(synchronize_session=False)
        )
        number += told.rowcount  # type: ignore[attr-defined]
        if session.scalar(select(Delivery.id).where(*copies).limit(1)) is None:
            newsletter.readers_forgotten_at = at
    return number


forget_readers = Rule(_forget_readers, ((Newsletter, _have_readers),))
