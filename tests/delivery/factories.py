"""Issues under way, as the tests of the engine need them."""

from collections import defaultdict
from typing import Any

from sqlalchemy import case, func, select, union_all, update

from belong_mail.core.db import now
from belong_mail.core.decryption import worker_keys
from belong_mail.core.statements import run_together
from belong_mail.delivery import throttle
from belong_mail.delivery.dispatcher import Compose
from belong_mail.delivery.models import Delivery, IssueCount, Lease, State
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.worker.loop import Worker
from tests.database import query
from tests.factories import make_members, queue_at_once


def queue(services, members: int = 1) -> int:
    """Queue an issue for so many members, member0@dpsk12.org and so on; return its row's id."""
    keys = services.settings.private_keys, services.settings.index_keys
    keyring = worker_keys(*keys)
    worker = Worker(services, keyring)
    with services.writing.begin() as session:
        make_members(session, keyring, members)
        issue = queue_at_once(worker, session).id
    worker.engine.close()
    return issue


def hold(session, owner: str, claimed: list[tuple[int, Compose]]) -> None:
    """Write on a worker's lease what it claimed."""
    lease = throttle.lease_of(owner, [number for number, _ in claimed])
    connection = session.connection()
    run_together(connection, (throttle.holding(connection.dialect.name), lease))


def let_grow_stale(worker) -> None:
    """Let copies that are claimed and wait have done so for longer than they may."""
    for pending in tuple(worker.engine._dispatcher._waiting):
        pending.made_at -= 2.1


def end_lease(services, owner: str = "elsewhere") -> None:
    """Let the time of a worker's lease be over, by whatever clock."""
    with services.writing.begin() as session:
        long_ago = now().replace(year=2000)
        session.execute(update(Lease).where(Lease.owner == owner).values(until=long_ago))


def books(services, issue: int) -> dict[str, int]:
    """Return the states that are not empty, once they add up, and are what the rows say."""
    with services.reading.begin() as session:
        report = newsletters.report(session, session.get_one(Newsletter, issue))
        assert count_faults(session) == []
    assert report["recipients"] == sum(report[state.value] for state in State)
    return {name: number for name, number in report.items() if number}


def deliveries(services) -> list[Delivery]:
    return query(services, select(Delivery).order_by(Delivery.id))


def count_faults(session) -> list[str]:
    """Say where the counts that are kept differ from counted rows; nothing when none does.

    One statement sees one moment. For an issue whose old rows are gone they do: the counts stay.
    """
    kept = select(IssueCount.newsletter_id, IssueCount.state, IssueCount.number, IssueCount.resent)
    again = func.sum(case((Delivery.resent > 0, 1), else_=0))
    rows = select(Delivery.newsletter_id, Delivery.state, -func.count(), -again).where(
        Delivery.newsletter_id.is_not(None)
    )
    found: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    counted: Any = rows.group_by(Delivery.newsletter_id, Delivery.state)
    for issue, state, number, resent in session.execute(union_all(kept, counted)).all():
        found[issue, state][0] += number
        found[issue, state][1] += resent
    return [
        f"MISCOUNTED: {state} of issue {issue} by {number}, {resent} of them resent."
        for (issue, state), (number, resent) in found.items()
        if number or resent
    ]
