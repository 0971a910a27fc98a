"""Two transactions that meet at an issue: in whatever order their statements come, it adds up."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from belong_mail.core.db import now
from belong_mail.delivery import claims, throttle
from belong_mail.delivery import results as settling
from belong_mail.delivery.models import Chunk, Delivery, IssueCount, Lease, SentPerMinute, State
from belong_mail.delivery.work import Work
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from belong_mail.newsletters.tasks import queue_due
from tests.database import query
from tests.delivery.factories import books
from tests.delivery.interleaving import Actor, GatedDatabase, orders
from tests.factories import make_members, queue_at_once

MEMBERS = 2
# By day, and at night.
ORDERS, ORDERS_AT_NIGHT = 20, 60
pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.timeout(240),
]


@pytest.fixture
def gated(database_url, request) -> Iterator[GatedDatabase]:
    most = ORDERS_AT_NIGHT if request.config.option.night else ORDERS
    gated = GatedDatabase(database_url, most)
    yield gated
    gated.close()


class Issues:
    """One issue after the other for the same members, and what may happen to one of them."""

    def __init__(self, services, keyring, worker, lock: WorkerLock) -> None:
        self._services, self._worker, self._lock = services, worker, lock
        self.id = 0
        with services.writing.begin() as session:
            make_members(session, keyring, MEMBERS)

    def begin(self) -> None:
        """Forget the last issue and queue another, written out and ready to be claimed."""
        with self._services.writing.begin() as session:
            for table in (Delivery, IssueCount, Chunk, Lease, SentPerMinute, Newsletter):
                session.execute(delete(table))
            for member in session.scalars(select(Subscription)):
                member.ended_at = None
            self.id = queue_at_once(self._worker, session).id
        with self._services.writing.begin() as session:
            self._worker._issue_mailer.prepare(session, self.id)

    def begin_claimed(self) -> None:
        """Queue an issue of which a worker holds all copies; its lease is over."""
        self.begin()
        with self._services.writing.begin() as session:
            self.claim("one")(session)
            session.flush()
            session.get_one(Lease, "one").until = now() - timedelta(hours=1)

    def begin_deferred(self) -> None:
        """Queue an issue whose copies are due for a second try."""
        self.begin_claimed()
        again = {"state": State.DEFERRED, "claimed_by": None, "due_at": now()}
        with self._services.writing.begin() as session:
            session.execute(update(Delivery).values(again))

    def begin_due(self) -> None:
        self.begin()
        with self._services.writing.begin() as session:
            for table in (Chunk, RenderedIssue):
                session.execute(delete(table))
            session.get_one(Newsletter, self.id).queued_at = None
            session.get_one(Newsletter, self.id).due_at = now()

    def work(self, session) -> Work:
        return self._worker.work_in(session)

    def claim(self, owner: str, limit: int = throttle.MAX_IN_HAND) -> Actor:
        """Claim in one statement, as when copies of the issue were claimed before."""

        def claimed(session) -> None:
            lease = throttle.lease_of(owner, ())
            calls = claims.at_once(self._worker._issue_mailer, limit, lease)
            settling.accept(session, owner, [], *calls)

        return claimed

    def accept(self, owner: str) -> Actor:
        def accepted(session) -> None:
            settling.accept(session, owner, self._ids(session))

        return accepted

    def recover(self, session) -> None:
        settling.recover(session, self._lock, timedelta(minutes=15))

    def stop(self, session) -> None:
        release.act(session, session.get_one(Newsletter, self.id), release.stop)

    def leave(self, session) -> None:
        member = session.scalars(select(Subscription.public_id).limit(1)).one()
        members.leave(session, member)

    def rows(self, table: type[Chunk | SentPerMinute], column: str) -> list[int | None]:
        return query(self._services, select(getattr(table, column)))

    def holders(self) -> set[str | None]:
        return set(query(self._services, select(Delivery.claimed_by)))

    def books(self) -> dict[str, int]:
        return books(self._services, self.id)

    def _ids(self, session) -> list[int]:
        found = select(Delivery.id).where(Delivery.newsletter_id == self.id)
        return list(session.scalars(found.order_by(Delivery.id)))


@pytest.fixture
def issues(services, keyring, worker, tmp_path) -> Iterator[Issues]:
    lock = WorkerLock(tmp_path / "elsewhere")
    yield Issues(services, keyring, worker, lock)
    lock.end()


def in_every_order(
    gated, begin: Callable[[], None], first: Actor, second: Actor
) -> Iterator[tuple[int, ...]]:
    """Run two transactions in the orders of their statements; yield after each."""
    begin()
    found = orders(gated.count(first), gated.count(second), gated.most_orders)
    assert len(found) >= ORDERS
    for order in found:
        begin()
        assert gated.run((first, second), order) == [], order
        yield order


def test_two_claims_of_one_copy_each_take_different_copies_or_none(gated, issues):
    """The second goes on where the first ended, or finds the chunk locked and does not wait."""
    ends = set()
    claim, another = issues.claim("one", 1), issues.claim("two", 1)
    for order in in_every_order(gated, issues.begin, claim, another):
        kept = issues.books()
        assert kept["recipients"] == MEMBERS, order
        assert len(issues.holders()) == kept["sending"], order
        ends.add(kept["sending"])
    assert ends == {1, 2}


def test_each_due_retry_is_claimed_by_only_one_of_two_workers(gated, issues):
    claimed: dict[str, list[int]] = {}

    def claim(owner: str) -> Actor:
        def claim_due(session) -> None:
            claimed[owner] = claims.claim_due(session, owner, MEMBERS)

        return claim_due

    for order in in_every_order(gated, issues.begin_deferred, claim("one"), claim("two")):
        both = claimed["one"] + claimed["two"]
        assert len(set(both)) == len(both) == MEMBERS, order


def test_an_issue_that_is_stopped_during_a_claim_adds_up(gated, issues):
    ends = set()
    for order in in_every_order(gated, issues.begin, issues.claim("one"), issues.stop):
        kept = issues.books()
        assert kept.keys() <= {"recipients", "sending", "withdrawn"}, order
        assert kept["recipients"] == MEMBERS, order
        assert issues.rows(Chunk, "inserted") == [0], order
        ends.add(kept.get("withdrawn", 0))
    assert ends == {0, MEMBERS}, "either comes first in some order"


def test_an_accepted_copy_stays_accepted_though_its_worker_is_taken_for_dead(gated, issues):
    accept = issues.accept("one")
    for order in in_every_order(gated, issues.begin_claimed, accept, issues.recover):
        assert issues.books() == {"recipients": MEMBERS, "accepted": MEMBERS}, order
        assert sum(filter(None, issues.rows(SentPerMinute, "number"))) == MEMBERS, order


def test_an_accepted_copy_stays_accepted_though_its_issue_is_stopped(gated, issues):
    accept = issues.accept("one")
    for order in in_every_order(gated, issues.begin_claimed, accept, issues.stop):
        assert issues.books() == {"recipients": MEMBERS, "accepted": MEMBERS}, order


def test_two_that_take_over_from_one_dead_worker_count_its_dots_once(gated, issues):
    for order in in_every_order(gated, issues.begin_claimed, issues.recover, issues.recover):
        assert issues.books() == {"recipients": MEMBERS, "uncertain": MEMBERS}, order
        assert sum(filter(None, issues.rows(SentPerMinute, "number"))) == MEMBERS, order


def test_a_worker_that_renews_in_time_keeps_what_it_holds(gated, issues):
    renewed: list[bool] = []

    def renew(session) -> None:
        renewed.append(settling.renew_lease(session, "one"))

    for order in in_every_order(gated, issues.begin_claimed, renew, issues.recover):
        state = "sending" if renewed[-1] else "uncertain"
        assert issues.books() == {"recipients": MEMBERS, state: MEMBERS}, order
    assert set(renewed) == {True, False}, "either comes first in some order"


def test_two_that_queue_what_is_due_plan_it_once(gated, issues):
    def queue(session) -> None:
        queue_due(issues.work(session))

    for order in in_every_order(gated, issues.begin_due, queue, queue):
        assert issues.rows(Chunk, "planned") == [MEMBERS], order
        assert issues.books() == {"recipients": MEMBERS, "queued": MEMBERS}, order


def test_a_member_who_leaves_during_a_claim_is_counted_as_sending_or_withdrawn(gated, issues):
    ends = set()
    for order in in_every_order(gated, issues.begin, issues.claim("one"), issues.leave):
        kept = issues.books()
        assert kept["recipients"] == MEMBERS, order
        assert kept["sending"] + kept.get("withdrawn", 0) == MEMBERS, order
        ends.add(kept["sending"])
    assert ends == {MEMBERS - 1, MEMBERS}, "either comes first in some order"
