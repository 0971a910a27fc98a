"""Drafting an issue, queueing it in one transaction, and the books about it."""

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, case, func, insert, literal, select, union_all
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.db import UtcTime, now, to_change
from belong_mail.groups.models import Group
from belong_mail.mail import header, markdown
from belong_mail.mail.message import HeaderRefused, clean
from belong_mail.newsletters.models import Newsletter
from belong_mail.outbox import service as outbox
from belong_mail.sending.models import Chunk, Delivery, State
from belong_mail.sending.pace import CHUNK
from belong_mail.subscriptions.models import Subscription

LATE = timedelta(minutes=60)
MAX_TEXT = 100_000
MAX_SUBJECT = 200


class NotNow(Exception):
    """The issue is not in a state in which this can be done."""


class NewsletterRefused(Exception):
    """Says what is missing or too long."""


def draft(session: Session, group: Group, subject: str, text: str) -> Newsletter:
    """Keep an issue; nothing goes out. Raises NewsletterRefused."""
    subject, text = subject.strip(), clean(text).strip()
    if not subject or len(subject) > MAX_SUBJECT or clean(subject) != subject:
        raise NewsletterRefused(f"The subject is one line of 1 to {MAX_SUBJECT} characters.")
    try:
        header.line("Subject", subject)
    except HeaderRefused:
        raise NewsletterRefused("The subject hides a line end or a control character.") from None
    if not text or len(text) > MAX_TEXT or not markdown.to_text(text).strip():
        raise NewsletterRefused(f"The text has words, and at most {MAX_TEXT:,} characters.")
    newsletter = Newsletter(group=group, subject=subject, text=text)
    session.add(newsletter)
    session.flush()
    return newsletter


def begin(session: Session, group: Group) -> Newsletter:
    """Begin an issue without a word."""
    newsletter = Newsletter(group=group, subject="", text="", subject_es="", text_es="")
    session.add(newsletter)
    session.flush()
    return newsletter


def rewrite(newsletter: Newsletter, **words: str) -> None:
    """Put other words into a draft: subject, text, subject_es, text_es."""
    for column, value in words.items():
        setattr(newsletter, column, clean(value).strip())
    newsletter.changed_at = now()


def is_draft(newsletter: Newsletter) -> bool:
    return newsletter.queued_at is None and newsletter.due_at is None


def version(newsletter: Newsletter) -> str:
    """Name the words as they are, so that two leads do not overwrite each other unseen."""
    return newsletter.changed_at.isoformat()


def find(session: Session, public_id: str) -> Newsletter | None:
    return session.scalar(select(Newsletter).where(Newsletter.public_id == public_id))


def find_led(session: Session, account: Account, public_id: str) -> Newsletter:
    """Find an issue of a group that the account leads, to read or to change; or raise NotYours."""
    found = select(Newsletter).where(
        Newsletter.public_id == public_id, Newsletter.group_id.in_(accounts.led_by(account))
    )
    newsletter: Newsletter | None = session.scalar(to_change(session, found))
    if newsletter is None:
        raise accounts.NotYours
    return newsletter


def queue(session: Session, newsletter: Newsletter) -> None:
    """Plan an issue for everybody who is a member now, in stretches; a second time does nothing."""
    if newsletter.queued_at is not None:
        return
    newsletter.queued_at = newsletter.due_at = now()
    session.flush()
    stretch = ((func.row_number().over(order_by=Subscription.id) - 1) // CHUNK).label("stretch")
    of_group = Subscription.group_id + 0 == newsletter.group_id
    receiving = select(Subscription.id, stretch).where(of_group, *_receives(newsletter.queued_at))
    members = receiving.subquery()
    planned = (
        select(
            literal(newsletter.id),
            func.min(members.c.id),
            func.max(members.c.id),
            func.count(),
        )
        .group_by(members.c.stretch)
        .order_by(members.c.stretch)
    )
    session.execute(insert(Chunk).from_select(("newsletter_id", "low", "high", "planned"), planned))


def queue_due(session: Session) -> list[Newsletter]:
    """Queue the issues whose time has come, and return them.

    One that is an hour late, for we were down, is held and its leads are asked.
    """
    due = select(Newsletter).where(Newsletter.queued_at.is_(None), Newsletter.due_at <= now())
    queued = []
    for newsletter in session.scalars(due.with_for_update(skip_locked=True)):
        if newsletter.due_at and newsletter.due_at < now() - LATE:
            _hold(session, newsletter)
        else:
            queue(session, newsletter)
            queued.append(newsletter)
    return queued


def copy_to(session: Session, newsletter: Newsletter, sealed_to: bytes) -> None:
    """Ask for one more copy of a queued issue, to an address that is no member's."""
    outbox.post(session, "newsletter-copy", sealed_to=sealed_to, about_id=newsletter.id)


def _hold(session: Session, newsletter: Newsletter) -> None:
    newsletter.held_at, newsletter.due_at = now(), None
    for lead in accounts.leads_of(session, newsletter.group):
        outbox.post(session, "issue-held", account_id=lead.id, about_id=newsletter.id)


def members_of_chunk(*columns: Any) -> Select[Any]:
    """Select those of a chunk who were members when its issue was queued, and still are.

    First their ids, then what else is asked for. The stretch is searched, not
    the group, which would be walked through for each chunk. Who is being erased just now is
    waited for, and left out.
    """
    queued_at = bindparam("queued_at", type_=UtcTime())
    members = select(Subscription.id, *columns).where(
        Subscription.id.between(bindparam("low"), bindparam("high")),
        Subscription.group_id + 0 == bindparam("group_id"),
        *_receives(queued_at),
    )
    in_turn = members.order_by(Subscription.id)
    return in_turn.with_for_update(read=True, key_share=True, of=Subscription)


def _receives(queued_at: Any) -> tuple[Any, ...]:
    return (
        Subscription.is_active,
        Subscription.confirmed_at <= queued_at,
        Subscription.reads_at(queued_at),
    )


def report(session: Session, newsletter: Newsletter) -> dict[str, int]:
    """Count an issue's recipients by state; the states add up to `recipients`.

    One statement sees one moment: between two a worker may turn a chunk into deliveries. Who joined
    while it was queued, unseen, or by a clock that is late, was not planned and is one more.
    """
    of_issue, of_chunk = Delivery.newsletter_id == newsletter.id, Chunk.newsletter_id
    state = case((Chunk.inserted.is_(None), State.QUEUED.value), else_=State.WITHDRAWN.value)
    number = case((Chunk.inserted > Chunk.planned, Chunk.inserted), else_=Chunk.planned)
    left = func.sum(number - func.coalesce(Chunk.inserted, 0))
    chunks = select(state, left).where(of_chunk == newsletter.id).group_by(Chunk.id)
    planned = select(literal("recipients"), func.sum(number))
    resent = select(literal("resent"), func.count(Delivery.id))
    found = union_all(
        select(Delivery.state, func.count()).where(of_issue).group_by(Delivery.state),
        chunks,
        planned.where(of_chunk == newsletter.id),
        resent.where(of_issue, Delivery.resent > 0),
    )
    counts = Counter[str]()
    for name, number in session.execute(found):
        counts[name] += number or 0
    return {name: counts[name] for name in ("recipients", *(s.value for s in State), "resent")}


def latest(session: Session, group: Group, most: int = 20) -> list[Newsletter]:
    """List a group's issues, the one changed last first."""
    found = select(Newsletter).where(Newsletter.group_id == group.id)
    return list(session.scalars(found.order_by(Newsletter.changed_at.desc()).limit(most)))
