"""Draft an issue, queue it in one transaction, and report on it."""

import logging
from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session, defer, joinedload

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import audit, logs
from belong_mail.core.audit import AuditEntry
from belong_mail.core.db import (
    CLOCKS_DIFFER,
    UtcTime,
    lock_for_change,
    now,
    required,
    update_if_free,
)
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, IssueCount, State
from belong_mail.groups.models import Group
from belong_mail.mail.message import headers, markdown
from belong_mail.mail.message.headers import InvalidHeader
from belong_mail.mail.message.mime import clean_text
from belong_mail.members.models import LONGEST_PAUSE, Subscription
from belong_mail.newsletters.models import Newsletter

log = logging.getLogger(__name__)
# Why edits to drafts are not audited.
UNRECORDED_DRAFT = "A draft goes to nobody."
# Workers that send an issue at once each lock a chunk of it; a small issue has one.
MOST_CHUNKS, LEAST_CHUNK_MEMBERS = 8, 5000
MAX_TEXT = 100_000
MAX_SUBJECT = 200
MAX_PREHEADER = 150
# Open and ended issues in a group's list; another page lists all that were sent.
OPEN_LISTED, ENDED_LISTED = 100, 3


class InvalidState(Exception):
    """The issue is not in a state in which this is possible."""


class InvalidNewsletter(Exception):
    """A draft's subject or text is missing, too long or invalid; the error says how."""


def draft(session: Session, group: Group, subject: str, text: str) -> Newsletter:
    """Store a draft; nothing is sent. Raises InvalidNewsletter."""
    subject, text = subject.strip(), clean_text(text).strip()
    if not subject or len(subject) > MAX_SUBJECT or clean_text(subject) != subject:
        raise InvalidNewsletter(f"The subject must be one line of 1 to {MAX_SUBJECT} characters.")
    try:
        headers.format_header("Subject", subject)
    except InvalidHeader:
        raise InvalidNewsletter(
            "The subject must not have a line end or a control character."
        ) from None
    if not text or len(text) > MAX_TEXT or not markdown.to_text(text).strip():
        raise InvalidNewsletter(f"The text must have words, and at most {MAX_TEXT:,} characters.")
    if markdown.has_too_many_marks(text):
        raise InvalidNewsletter("The text has too many marks, such as * or |.")
    return start_draft(session, group, subject={DEFAULT: subject}, text={DEFAULT: text})


def start_draft(session: Session, group: Group, **words: LocalizedText) -> Newsletter:
    """Create a draft, empty or with words."""
    newsletter = Newsletter(group=group, **words)
    session.add(newsletter)
    session.flush()
    return newsletter


def update_draft(newsletter: Newsletter, **words: LocalizedText) -> None:
    """Replace a draft's subject, preview line or text, in all languages; the same are no change."""
    if says(newsletter, **words):
        return
    for column, by_code in words.items():
        setattr(newsletter, column, _cleaned(by_code))
    newsletter.changed_at = now()


def says(newsletter: Newsletter, **words: LocalizedText) -> bool:
    """Return whether a draft has these very words."""
    return all(getattr(newsletter, column) == _cleaned(words[column]) for column in words)


def _cleaned(by_code: LocalizedText) -> LocalizedText:
    cleaned = {code: clean_text(value).strip() for code, value in by_code.items()}
    return {code: value for code, value in cleaned.items() if value}


def note_writer(session: Session, newsletter: Newsletter) -> None:
    """Record, once, that someone wrote in a draft."""
    actor, kind = audit.actor_of(session), audit.Kind.WRITTEN
    known = select(AuditEntry.id).where(
        AuditEntry.newsletter == newsletter.public_id,
        AuditEntry.kind == kind,
        AuditEntry.actor == actor.account,
    )
    if session.scalar(known.limit(1)) is None:
        audit.record(session, kind, newsletter=newsletter)


_WROTE = select(AuditEntry.actor).where(
    AuditEntry.newsletter == bindparam("newsletter"), AuditEntry.kind == audit.Kind.WRITTEN
)
WRITERS = select(Account).where(Account.public_id.in_(_WROTE)).order_by(Account.id)


def writers_of(session: Session, newsletter: Newsletter) -> list[Account]:
    """List who wrote in a draft, by the audit trail; without deleted accounts."""
    return list(session.scalars(WRITERS, {"newsletter": newsletter.public_id}))


def delete_draft(session: Session, newsletter: Newsletter) -> None:
    """Delete a draft, or a group's template."""
    audit.record(session, audit.Kind.DRAFT_DELETED, newsletter=newsletter)
    session.delete(newsletter)


def is_draft(newsletter: Newsletter) -> bool:
    return newsletter.queued_at is None and newsletter.due_at is None


def version(newsletter: Newsletter) -> str:
    """Return a draft's version, its time of change, by which concurrent edits are detected."""
    return newsletter.changed_at.isoformat()


def find(session: Session, public_id: str) -> Newsletter | None:
    return session.scalar(select(Newsletter).where(Newsletter.public_id == public_id))


FOR_LEAD = (
    select(Newsletter)
    .where(Newsletter.public_id == bindparam("public_id"))
    .where(Newsletter.group_id.in_(accounts.GROUPS_LED))
    .options(joinedload(Newsletter.group, innerjoin=True))
)


def find_for_lead(session: Session, account: Account, public_id: str) -> Newsletter:
    """Find an issue of a group that the account leads, to read or to change. Raises NotFound."""
    found, by = lock_for_change(session, FOR_LEAD), {"account_id": account.id}
    newsletter: Newsletter | None = session.scalar(found, {**by, "public_id": public_id})
    return required(newsletter, accounts.NotFound)


def plan(session: Session, newsletter: Newsletter, least: int = LEAST_CHUNK_MEMBERS) -> None:
    """Plan a checked issue for all current members, in chunks of at least `least` but for the last.

    Chunks are contiguous ranges of ids, to include a member who rejoins before sending.
    """
    session.flush()
    newsletter.queued_at = newsletter.due_at = now()
    session.flush()
    logs.event(log, logging.INFO, "newsletter queued", newsletter=newsletter.id)
    of_group = Subscription.group_id == newsletter.group_id
    _drop_false_times(session, of_group, newsletter.queued_at)
    ends = select(func.min(Subscription.id), func.max(Subscription.id)).where(of_group)
    first, last = session.execute(ends).one()
    if last is None:
        return
    width = (last - first) // MOST_CHUNKS + 1
    part = ((Subscription.id - first) // width).label("part")
    members = select(part, func.count()).where(of_group, *receives(newsletter.queued_at))
    counted = dict(session.execute(members.group_by(part)).all())
    low, planned = 1, 0
    for number in range(MOST_CHUNKS):
        high = first + (number + 1) * width - 1
        planned += counted.get(number, 0)
        if planned >= least or number == MOST_CHUNKS - 1:
            session.add(Chunk(newsletter_id=newsletter.id, low=low, high=high, planned=planned))
            low, planned = high + 1, 0


def _drop_false_times(session: Session, of_group: ColumnElement[bool], at: datetime) -> None:
    """Replace times that no page writes, for which members would get no newsletter for years."""
    is_false = or_(
        Subscription.confirmed_at > at + CLOCKS_DIFFER,
        Subscription.paused_until > at + LONGEST_PAUSE + CLOCKS_DIFFER,
    )
    update_if_free(session, Subscription, of_group, is_false, confirmed_at=at, paused_until=at)


def chunk_members_query(columns: tuple[Any, ...], low: Any, high: Any) -> Select[Any]:
    """Select a chunk's members who were members when its issue was queued, and still are.

    Their ids, from low to high, come first, then the other columns. Waits for running erasures and
    skips their members. A retired group has none.
    """
    queued_at = bindparam("queued_at", type_=UtcTime())
    members = select(Subscription.id, *columns).where(
        Subscription.id.between(low, high),
        Subscription.group_id == bindparam("group_id"),
        exists().where(Group.id == bindparam("group_id"), Group.retired_at.is_(None)),
        *receives(queued_at),
    )
    in_turn = members.order_by(Subscription.id)
    return in_turn.with_for_update(read=True, key_share=True, of=Subscription)


def receives(queued_at: Any) -> tuple[Any, ...]:
    """Match the recipients of an issue that is queued at a time: members who have not paused."""
    return (
        Subscription.is_active,
        Subscription.confirmed_at <= queued_at,
        Subscription.reads_at(queued_at),
    )


def _counts_query() -> CompoundSelect[Any, Any, Any]:
    """Count an issue's recipients without a delivery row, and its deliveries, by state."""
    issue = bindparam("issue", type_=Chunk.newsletter_id.type)
    state = case((Chunk.inserted.is_(None), State.QUEUED.value), else_=State.WITHDRAWN.value)
    left = Chunk.planned - func.coalesce(Chunk.inserted, 0)
    without = select(state, left, literal(0)).where(Chunk.newsletter_id == issue, left > 0)
    counted = select(IssueCount.state, IssueCount.number, IssueCount.resent)
    return union_all(without, counted.where(IssueCount.newsletter_id == issue))


COUNTS = _counts_query()


def report(session: Session, newsletter: Newsletter) -> dict[str, int]:
    """Count an issue's recipients by state; the states add up to `recipients`.

    A single statement is consistent while workers turn chunks into deliveries. Recipients are more
    than were planned if a confirmation was committed meanwhile, or timed by a slow clock.
    """
    counts = Counter[str]()
    is_queued = newsletter.queued_at is not None
    found = session.execute(COUNTS, {"issue": newsletter.id}) if is_queued else ()
    for name, number, resent in found:
        counts[name] += number
        counts["recipients"] += number
        counts["resent"] += resent
    if newsletter.stopped_at is not None:  # even before the worker has withdrawn them
        counts[State.WITHDRAWN] += counts.pop(State.QUEUED, 0) + counts.pop(State.DEFERRED, 0)
    return {name: counts[name] for name in ("recipients", *(s.value for s in State), "resent")}


_OF_GROUP = (
    select(Newsletter)
    .where(Newsletter.group_id == bindparam("group_id"), Newsletter.is_template.is_(False))
    .options(joinedload(Newsletter.approval), defer(Newsletter.text))
    .order_by(Newsletter.changed_at.desc())
)
OPEN = _OF_GROUP.where(Newsletter.ended_at.is_(None)).limit(OPEN_LISTED)
ENDED = _OF_GROUP.where(Newsletter.ended_at.is_not(None)).limit(ENDED_LISTED)


def latest(session: Session, group: Group) -> list[Newsletter]:
    """List a group's open issues, then those that ended last, without their texts."""
    of_group = {"group_id": group.id}
    return [*session.scalars(OPEN, of_group), *session.scalars(ENDED, of_group)]


IS_UNDER_WAY = and_(Newsletter.queued_at.is_not(None), Newsletter.ended_at.is_(None))
_MAY_END = or_(Newsletter.paused_at.is_(None), Newsletter.stopped_at.is_not(None))
_IS_UNCLAIMED = exists().where(Chunk.newsletter_id == Newsletter.id, Chunk.inserted.is_(None))
_WAITS = exists().where(Delivery.newsletter_id == Newsletter.id, Delivery.due_at.is_not(None))
_UNFINISHED = select(func.coalesce(func.sum(IssueCount.number), 0)).where(
    IssueCount.newsletter_id == Newsletter.id, IssueCount.state.in_(UNFINISHED)
)
OVER = select(Newsletter.id).where(
    IS_UNDER_WAY, _MAY_END, ~_IS_UNCLAIMED, ~_WAITS, _UNFINISHED.scalar_subquery() == 0
)


def log_endings(session: Session, at: datetime) -> None:
    """Log the end of each issue once, when nothing of it waits, even with several workers."""
    free = Newsletter.id.in_(OVER.with_for_update(skip_locked=True, key_share=True))
    ended = update(Newsletter).where(free).values(ended_at=at).returning(Newsletter.id)
    for issue in session.scalars(ended.execution_options(synchronize_session=False)):
        logs.event(log, logging.INFO, "newsletter finished", newsletter=issue)
