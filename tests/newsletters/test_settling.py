"""An issue at rest is counted once; what changes afterwards is in its counts, row or no row."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from sqlalchemy import delete, func, insert, select, text, update

from belong_mail.core import logs
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.delivery import outcomes, settled
from belong_mail.delivery.models import Chunk, Delivery, IssueCount, SettledIssue, State
from belong_mail.newsletters import release, settling
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.retention import count_old_copies
from belong_mail.ops import metrics
from belong_mail.worker.loop import Worker
from tests.delivery.factories import books, queue
from tests.overlapping import do_twice_at_once

LATER = timedelta(minutes=3)
MONTHS = timedelta(days=401)
MEMBERS = 4


def settle(services: Services, after: timedelta = timedelta(0)) -> None:
    """Note what is at rest, and count it when its time has come."""
    for at in (now() + after, now() + after + LATER):
        with services.writing.begin() as session:
            settling.settle_issues(session, at)


def settled_issues(services: Services) -> list[int]:
    with services.reading.begin() as session:
        found = select(SettledIssue.newsletter_id).where(SettledIssue.settled_at.is_not(None))
        return list(session.scalars(found))


def counts(services: Services) -> dict[str, int]:
    with services.reading.begin() as session:
        return dict(session.execute(select(IssueCount.state, IssueCount.number)).all())


def by_rows(services: Services, issue: int) -> dict[str, int]:
    with services.reading.begin() as session:
        found = select(Delivery.state, func.count()).where(Delivery.newsletter_id == issue)
        return dict(session.execute(found.group_by(Delivery.state)).all())


@pytest.fixture
def issue(worker: Worker, services: Services, keyring: Keyring) -> int:
    """An issue that everybody has, not yet settled."""
    issue = queue(services, keyring, MEMBERS)
    worker.drain()
    return issue


@pytest.fixture
def sent(services: Services, issue: int) -> int:
    """An issue that everybody has, settled."""
    settle(services)
    assert settled_issues(services) == [issue]
    return issue


def change(services: Services, state: State, number: int = 0) -> None:
    """Have one copy change its state, as a bounce or a late answer does."""
    with services.writing.begin() as session:
        ids = session.scalars(select(Delivery.id).where(Delivery.newsletter_id.is_not(None)))
        delivery = session.get_one(Delivery, sorted(ids)[number])
        before = delivery.state
        if state is State.BOUNCED:
            assert outcomes.apply_bounce(delivery, 550, "5.1.1", "")
        else:
            outcomes.arrive_at(delivery)
        settled.move(session, delivery, before)


def test_a_settled_issue_has_the_counts_of_its_rows(services: Services, sent: int) -> None:
    assert books(services, sent) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert counts(services) == by_rows(services, sent) == {"accepted": MEMBERS}


def test_what_bounces_later_is_in_the_counts(services: Services, sent: int) -> None:
    change(services, State.BOUNCED)
    change(services, State.BOUNCED, 2)
    assert books(services, sent) == {
        "recipients": MEMBERS,
        "accepted": MEMBERS - 2,
        "bounced": 2,
    }
    assert counts(services) == by_rows(services, sent)


def test_what_arrived_after_all_and_was_sent_twice_is_in_the_counts(
    services: Services, issue: int
) -> None:
    with services.writing.begin() as session:
        doubtful = update(Delivery).where(Delivery.newsletter_id == issue)
        session.execute(doubtful.values(state=State.UNCERTAIN, lost_at=now(), resent=1))
    settle(services)
    change(services, State.ACCEPTED)
    assert books(services, issue) == {
        "recipients": MEMBERS,
        "accepted": 1,
        "uncertain": MEMBERS - 1,
        "resent": MEMBERS,
    }


def test_a_bounce_before_it_is_counted_is_counted_once(services: Services, issue: int) -> None:
    with services.writing.begin() as session:
        settling.settle_issues(session, now())
    change(services, State.BOUNCED)
    settle(services)
    assert counts(services) == by_rows(services, issue) == {"accepted": 3, "bounced": 1}


@pytest.mark.parametrize("waits", ["deferred", "claimed", "unclaimed", "planned", "paused"])
def test_an_issue_of_which_something_waits_is_not_settled(
    services: Services, issue: int, waits: str
) -> None:
    with services.writing.begin() as session:
        first = select(func.min(Delivery.id)).scalar_subquery()
        one = update(Delivery).where(Delivery.id == first)
        newsletter = session.get_one(Newsletter, issue)
        if waits == "deferred":
            session.execute(one.values(state=State.DEFERRED, due_at=now()))
        elif waits == "claimed":
            session.execute(one.values(state=State.SENDING, claimed_by="elsewhere"))
        elif waits == "unclaimed":
            session.add(Chunk(newsletter_id=issue, low=90, high=99, planned=1))
        elif waits == "planned":
            newsletter.planned_to = 90
        else:
            release.pause(session, newsletter)
    settle(services)
    assert settled_issues(services) == []
    assert sum(books(services, issue).values()) == 2 * (MEMBERS + (waits == "unclaimed"))


def test_an_issue_that_was_noted_and_of_which_something_waits_again_is_not_settled(
    worker: Worker, services: Services, issue: int
) -> None:
    with services.writing.begin() as session:
        settling.settle_issues(session, now())
        session.execute(update(Delivery).values(state=State.DEFERRED, due_at=now()))
    with services.writing.begin() as session:
        settling.settle_issues(session, now() + LATER)
    with services.reading.begin() as session:
        assert session.scalars(select(SettledIssue)).all() == []
    assert books(services, issue) == {"recipients": MEMBERS, "deferred": MEMBERS}
    worker.drain()
    settle(services)
    assert settled_issues(services) == [issue]
    assert counts(services) == {"accepted": MEMBERS}


def test_what_a_worker_that_was_cut_off_may_know_more_of_is_waited_for(
    services: Services, issue: int
) -> None:
    with services.writing.begin() as session:
        lost = {"state": State.UNCERTAIN, "claimed_by": "elsewhere", "lost_at": now()}
        session.execute(update(Delivery).values(lost))
    settle(services)
    assert settled_issues(services) == []
    settle(services, timedelta(days=4))
    assert settled_issues(services) == [issue]
    assert books(services, issue) == {"recipients": MEMBERS, "uncertain": MEMBERS}


def test_two_workers_settle_an_issue_once(services: Services, issue: int) -> None:
    for after in (timedelta(0), LATER):
        do_twice_at_once(services, partial(settling.settle_issues, at=now() + after))
    assert settled_issues(services) == [issue]
    assert counts(services) == {"accepted": MEMBERS}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_bounce_while_an_issue_is_counted_waits_and_is_in_its_counts(
    services: Services, issue: int
) -> None:
    with services.writing.begin() as session:
        settling.settle_issues(session, now())
    turns = iter(("count", "bounce"))

    def act(session: object) -> None:
        if next(turns) == "count":
            settling.settle_issues(session, now() + LATER)  # type: ignore[arg-type]
        else:
            change(services, State.BOUNCED)

    do_twice_at_once(services, act)
    assert counts(services) == by_rows(services, issue) == {"accepted": 3, "bounced": 1}


def test_rows_of_a_settled_issue_go_after_400_days_and_its_counts_stay(
    services: Services, sent: int
) -> None:
    change(services, State.BOUNCED)
    before = books(services, sent)
    with time_machine.travel(now() + MONTHS), services.writing.begin() as session:
        assert count_old_copies(session, now()) == MEMBERS
    assert by_rows(services, sent) == {}
    assert books(services, sent) == before


def test_metrics_count_what_is_settled_and_what_is_not(services: Services, sent: int) -> None:
    change(services, State.BOUNCED)
    with services.writing.begin() as session:
        session.execute(insert(Delivery), [{"kind": "sign-in", "sealed_to": b"x"}] * 2)
    expected = Counter(by_rows(services, sent)) + Counter(queued=2)
    with services.reading.begin() as session:
        found = metrics.gather_metrics(session, None).deliveries
    assert {state: number for state, number in found.items() if number} == expected


def test_neither_metrics_nor_a_report_read_a_settled_issues_rows(
    services: Services, sent: int
) -> None:
    """They say the same when the rows are not there."""
    before = books(services, sent)
    with services.writing.begin() as session:
        session.execute(delete(Delivery))
    assert books(services, sent) == before
    with services.reading.begin() as session:
        found = metrics.gather_metrics(session, None).deliveries
    assert found["accepted"] == MEMBERS


def test_a_worker_settles_issues_by_itself(
    worker: Worker, services: Services, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    issue = queue(services, keyring, MEMBERS)
    worker.drain()
    for minutes in (2, 6, 10):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            worker.step()
    assert settled_issues(services) == [issue]
    said = [(each.getMessage(), getattr(each, logs.FIELDS, {})) for each in caplog.records]
    assert [each for each in said if each[0].startswith("newsletter")] == [
        ("newsletter queued", {"newsletter": issue}),
        ("newsletter finished", {"newsletter": issue}),
    ]
    with services.reading.begin() as session:
        assert session.scalar(text("SELECT count(*) FROM deliveries")) >= MEMBERS
