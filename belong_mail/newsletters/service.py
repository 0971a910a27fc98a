"""Drafting an issue, queueing it in one transaction, and the books about it."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.mail import header, markdown
from belong_mail.mail.message import HeaderRefused, clean
from belong_mail.newsletters.models import Newsletter
from belong_mail.sending.models import Chunk, Delivery, State
from belong_mail.subscriptions.models import Subscription

Members = Select[str, int, int, str, datetime, datetime]

CHUNK = 100
"""Members a worker reads ahead, at most; so that leaving acts at once."""
MAX_TEXT = 100_000
MAX_SUBJECT = 200


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


def find(session: Session, public_id: str) -> Newsletter | None:
    return session.scalar(select(Newsletter).where(Newsletter.public_id == public_id))


def queue(session: Session, newsletter: Newsletter) -> None:
    """Plan an issue for everybody who is a member now, in stretches; a second time does nothing."""
    if newsletter.queued_at is not None:
        return
    newsletter.queued_at = newsletter.due_at = now()
    session.flush()
    stretch = ((func.row_number().over(order_by=Subscription.id) - 1) // CHUNK).label("stretch")
    members = select(Subscription.id, stretch).where(*_receives(newsletter)).subquery()
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


def queue_due(session: Session) -> None:
    """Queue the issues whose time has come."""
    due = select(Newsletter).where(Newsletter.queued_at.is_(None), Newsletter.due_at <= now())
    for newsletter in session.scalars(due.with_for_update(skip_locked=True)):
        queue(session, newsletter)


def members_of(newsletter: Newsletter, chunk: Chunk) -> Members:
    """Select a chunk's deliveries: those who were members then and still are."""
    at = now()
    return select(
        literal("newsletter"),
        literal(newsletter.id),
        Subscription.id,
        literal(State.QUEUED.value),
        literal(at, Delivery.created_at.type),
        literal(at, Delivery.due_at.type),
    ).where(*_receives(newsletter), Subscription.id.between(chunk.low, chunk.high))


def _receives(newsletter: Newsletter) -> tuple[Any, ...]:
    return (
        Subscription.group_id == newsletter.group_id,
        Subscription.is_active,
        Subscription.confirmed_at <= newsletter.queued_at,
    )


def report(session: Session, newsletter: Newsletter) -> dict[str, int]:
    """Count an issue's recipients by state; the states add up to `recipients`."""
    of_issue = Delivery.newsletter_id == newsletter.id
    by_state = select(Delivery.state, func.count()).where(of_issue).group_by(Delivery.state)
    counts = Counter(dict(session.execute(by_state).all()))
    chunks = select(Chunk.planned, Chunk.inserted).where(Chunk.newsletter_id == newsletter.id)
    recipients = 0
    for planned, inserted in session.execute(chunks):
        recipients += planned
        if inserted is None:
            counts[State.QUEUED] += planned
        else:
            counts[State.WITHDRAWN] += planned - inserted
    resent = session.scalar(select(func.count(Delivery.id)).where(of_issue, Delivery.resent > 0))
    states = {state.value: counts[state] for state in State}
    return {"recipients": recipients, **states, "resent": resent or 0}
