"""Figures for operators: totals alone, never of a group or a person."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.db import now
from belong_mail.hold import service as hold
from belong_mail.returns import service as returns
from belong_mail.sending.models import Chunk, Delivery, State
from belong_mail.subscriptions.models import Request

UNREADABLE = 3
"""Failures after which a request is left for the operator."""


@dataclass(frozen=True, slots=True)
class Figures:
    deliveries: dict[str, int]
    """By state."""
    planned: int
    """Copies of issues that nobody has claimed yet."""
    oldest_seconds: float
    """For how long a delivery has waited at most: since it was asked for, or since its next try."""
    last_answer: str
    """What the relay said to one of those that wait: its codes, and a phrase of ours; or ""."""
    requests: int
    unreadable: int
    is_on_hold: bool
    undelivered: int
    """Messages to the office or to leads that have not arrived, and never will by themselves."""
    is_coming_back: bool
    """Mail comes back in unusual numbers, or because of us."""


def gather(session: Session) -> Figures:
    by_state = dict(
        session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all()
    )
    planned = select(func.sum(Chunk.planned)).where(
        Chunk.inserted.is_(None), Chunk.is_halted.is_(False)
    )
    unreadable = select(func.count(Request.id)).where(Request.failures >= UNREADABLE)
    return Figures(
        deliveries={state.value: by_state.get(state, 0) for state in State},
        planned=session.scalar(planned) or 0,
        oldest_seconds=_oldest(session, now()),
        last_answer=_last_answer(session),
        requests=session.scalar(select(func.count(Request.id))) or 0,
        unreadable=session.scalar(unreadable) or 0,
        is_on_hold=hold.is_on(session),
        undelivered=len(contact.undelivered(session)),
        is_coming_back=returns.is_alarming(session, now()),
    )


def _oldest(session: Session, at: datetime) -> float:
    """While a relay takes nothing, `due_at` moves on; what it has not judged waits all the same."""
    waiting = Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN))
    since = case((Delivery.state == State.QUEUED, Delivery.created_at), else_=Delivery.due_at)
    oldest = session.scalar(select(func.min(since)).where(waiting, Delivery.due_at.is_not(None)))
    return 0.0 if oldest is None else max(0.0, (at - oldest).total_seconds())


def _last_answer(session: Session) -> str:
    said = select(Delivery.code, Delivery.enhanced, Delivery.phrase).where(
        Delivery.state.in_((State.QUEUED, State.DEFERRED)),
        Delivery.code.is_not(None),
        Delivery.due_at.is_not(None),
    )
    found = session.execute(said.order_by(Delivery.due_at.desc()).limit(1)).first()
    return " ".join(str(each) for each in found or () if each)


def exposition(figures: Figures) -> str:
    """Write figures in the text format of Prometheus (0.0.4)."""
    lines = [
        "# HELP belong_deliveries Messages, by state.",
        "# TYPE belong_deliveries gauge",
        *(
            f'belong_deliveries{{state="{state}"}} {number}'
            for state, number in figures.deliveries.items()
        ),
    ]
    for name, about, value in (
        ("planned", "Copies of issues that nobody has claimed yet.", figures.planned),
        ("oldest_due_seconds", "How long the oldest message waits.", figures.oldest_seconds),
        ("requests", "Requests that the worker has not read.", figures.requests),
        ("unreadable_requests", "Requests that cannot be read.", figures.unreadable),
        ("on_hold", "1 while sending is on hold.", int(figures.is_on_hold)),
        ("undelivered", "Messages to the office that have not arrived.", figures.undelivered),
        ("coming_back", "1 while very much mail comes back.", int(figures.is_coming_back)),
    ):
        lines += [
            f"# HELP belong_{name} {about}",
            f"# TYPE belong_{name} gauge",
            f"belong_{name} {value:g}",
        ]
    return "\n".join(lines) + "\n"
