"""What members offered to help with: which interests of its group a membership ticked.

The worker wraps the list for membership and group. It has one length, whatever was ticked, and
each membership has one, so that the database does not tell who offered anything.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.i18n import LocalizedText
from belong_mail.groups.models import Group, GroupInterest
from belong_mail.groups.service import MAX_INTERESTS
from belong_mail.members.models import PendingConfirmation, Subscription
from belong_mail.members.pace import Pace
from belong_mail.members.service import steady, watched_groups
from belong_mail.members.wrapped_fields import row_of

TICKS_COLUMN = "subscriptions.wrapped_ticks"
# Characters of a public id; six of them fit into one block of what is wrapped.
ID_LENGTH = 22
# Rows that are in memory at once.
ROWS_AT_ONCE = 500
log = logging.getLogger(__name__)


def wrap_ticks(
    opener: Opener, ticked: Iterable[str], public_id: str, group_public_id: str
) -> bytes:
    """Wrap a list of interests, by their public ids, for one membership in one group."""
    data = json.dumps(sorted(ticked)).encode()
    return opener.wrap(data, TICKS_COLUMN, row_of(public_id, group_public_id))


def open_ticks(
    opener: Opener, wrapped: bytes | None, public_id: str, group_public_id: str
) -> frozenset[str]:
    """Open a membership's list, or raise DecryptionError for one of another row or group."""
    if wrapped is None:
        return frozenset()
    row = row_of(public_id, group_public_id)
    return frozenset(json.loads(opener.unwrap(wrapped, TICKS_COLUMN, row)))


def ticks_of(keyring: Keyring, row: Subscription | PendingConfirmation) -> frozenset[str]:
    """Return what a membership, or a sign-up to it, ticked; nothing when it does not open."""
    member = row if isinstance(row, Subscription) else row.subscription
    with suppress(DecryptionError):
        return open_ticks(
            keyring.opener, row.wrapped_ticks, member.public_id, member.group.public_id
        )
    log.warning("The interests of subscription %d do not open.", member.id)
    return frozenset()


def set_ticks(
    keyring: Keyring,
    row: Subscription | PendingConfirmation,
    member: Subscription,
    ticked: Collection[str],
) -> None:
    """Keep what was ticked, of the interests that the group has now."""
    known = [each for each in known_interests(member.group) if each in ticked] if ticked else ()
    group = member.group.public_id
    row.wrapped_ticks = wrap_ticks(keyring.opener, known, member.public_id, group)


def known_interests(group: Group) -> list[str]:
    """List a group's interests as the worker counts them: no more, and no longer, than fit."""
    named = [each.public_id for each in group.interests]
    return [each for each in named if len(each) == ID_LENGTH][:MAX_INTERESTS]


def grant_ticks(keyring: Keyring, pending: PendingConfirmation, *, is_new: bool) -> None:
    """Give a membership what its sign-up ticked; a later sign-up adds to it, and does so once."""
    if pending.wrapped_ticks is None:
        return
    member = pending.subscription
    kept = frozenset() if is_new else ticks_of(keyring, member)
    set_ticks(keyring, member, member, kept | ticks_of(keyring, pending))
    pending.wrapped_ticks = None


def labels_of(keyring: Keyring, subscription: Subscription) -> list[LocalizedText]:
    """Return what a membership ticked, in words."""
    ticked = ticks_of(keyring, subscription)
    return [each.label for each in subscription.group.interests if each.public_id in ticked]


def count_for_leads(session: Session, opener: Opener, pace: Pace) -> None:
    """Count the ticks of each group of which a lead has signed in, or asked to, within hours.

    A large group's are counted less often, as its members are.
    """
    for group in watched_groups(session):
        if group.interests and pace.is_due(group.id):
            with pace.measured(group.id):
                count_ticks(session, opener, group)


def count_ticks(session: Session, opener: Opener, group: Group) -> None:
    """Count who ticked each interest, in tens, as members are counted."""
    people: dict[str, set[bytes]] = defaultdict(set)
    person = func.coalesce(Subscription.counted_index, Subscription.address_index)
    for row in _rows(session, Subscription, group, Subscription.is_active, more=(person,)):
        for each in _readable(opener, row, group):
            people[each].add(row.person)
    for interest in group.interests:
        number = len(people[interest.public_id])
        interest.members_shown = steady(number, interest.members_shown or 0)


def fill_missing(session: Session, opener: Opener) -> int:
    """Wrap an empty list for memberships that have none; return for how many.

    An older version made them: without it the database would tell who has chosen since.
    """
    # With a bound an index is searched, however many rows PostgreSQL believes to lack one.
    missing = select(Subscription.id).where(
        Subscription.wrapped_ticks.is_(None), Subscription.id > 0
    )
    ids = session.scalars(missing.order_by(Subscription.id).limit(ROWS_AT_ONCE)).all()
    found = select(Subscription.id, Subscription.public_id, Group.public_id).join(Group)
    rows = session.execute(found.where(Subscription.id.in_(ids))).all() if ids else []
    values = [
        {"of": number, "wrapped": wrap_ticks(opener, (), public_id, group)}
        for number, public_id, group in rows
    ]
    _write(session, Subscription, values)
    return len(values)


def forget_retired(session: Session, opener: Opener) -> None:
    """Delete the ticks of interests that were retired since.

    All lists of the group are wrapped anew: who compares copies does not see who had ticked.
    """
    found = select(GroupInterest).where(
        GroupInterest.retired_at.is_not(None), GroupInterest.forgotten_at.is_(None)
    )
    retired = session.scalars(found).all()
    for group in {each.group_id: each.group for each in retired}.values():
        for model in (Subscription, PendingConfirmation):
            _wrap_anew(session, opener, model, group)
    for each in retired:
        each.forgotten_at = now()


def _wrap_anew(session: Session, opener: Opener, model: Any, group: Group) -> None:
    known, public_id = set(known_interests(group)), group.public_id
    values = []
    for row in _rows(session, model, group, model.wrapped_ticks.is_not(None)):
        kept = known & _readable(opener, row, group)
        values.append({"of": row.id, "wrapped": wrap_ticks(opener, kept, row.public_id, public_id)})
        if len(values) == ROWS_AT_ONCE:
            _write(session, model, values)
            values = []
    _write(session, model, values)


def _write(session: Session, model: Any, values: list[dict[str, Any]]) -> None:
    if values:
        table = model.__table__
        changed = update(table).where(table.c.id == bindparam("of"))
        session.connection().execute(changed.values(wrapped_ticks=bindparam("wrapped")), values)


def _rows(
    session: Session, model: Any, group: Group, *which: Any, more: tuple[Any, ...] = ()
) -> Iterator[Any]:
    """Read ids and lists of a group's memberships, or of sign-ups to them, some at a time."""
    columns = [model.id, Subscription.public_id, model.wrapped_ticks]
    columns += [each.label("person") for each in more]
    found = select(*columns).where(Subscription.group_id == group.id, *which)
    if model is not Subscription:
        found = found.join(Subscription, Subscription.id == model.subscription_id)
    last = 0
    while rows := session.execute(
        found.where(model.id > last).order_by(model.id).limit(ROWS_AT_ONCE)
    ).all():
        yield from rows
        last = rows[-1].id


def _readable(opener: Opener, row: Any, group: Group) -> frozenset[str]:
    with suppress(DecryptionError):
        return open_ticks(opener, row.wrapped_ticks, row.public_id, group.public_id)
    return frozenset()
