"""Results of an issue's copies are counted as they happen; nobody reads all their rows."""

from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from sqlalchemy import func, insert, select, text, update

from belong_mail.core import logs
from belong_mail.core.db import now
from belong_mail.delivery import outcomes
from belong_mail.delivery.models import Chunk, Delivery, IssueCount, State
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.database import do, execute, query
from tests.delivery.factories import books, count_faults, queue
from tests.markers import on_both
from tests.monitoring.looking import figures
from tests.overlapping import do_twice_at_once

pytestmark = on_both("counts by triggers")

MEMBERS = 4


def ended_issues(services) -> list[int]:
    return query(services, select(Newsletter.id).where(Newsletter.ended_at.is_not(None)))


@pytest.fixture
def sent(worker, services) -> int:
    issue = queue(services, MEMBERS)
    worker.drain()
    return issue


def ids(session) -> list[int]:
    found = select(Delivery.id).where(Delivery.newsletter_id.is_not(None))
    return list(session.scalars(found.order_by(Delivery.id)))


def bounce(session, number: int = 0) -> None:
    delivery = session.get_one(Delivery, ids(session)[number])
    assert outcomes.apply_bounce(delivery, 550, "5.1.1", "")


def test_later_bounces_are_in_the_counts(services, sent):
    for number in (0, 2):
        do(services, bounce, number)
    assert books(services, sent) == {"recipients": MEMBERS, "accepted": MEMBERS - 2, "bounced": 2}


def test_uncertain_copies_that_arrived_or_were_resent_are_in_the_counts(services, sent):
    doubtful = update(Delivery).where(Delivery.newsletter_id == sent)
    execute(services, doubtful.values(state=State.UNCERTAIN, lost_at=now(), resent=1))
    with services.writing.begin() as session:
        outcomes.arrive_at(session.get_one(Delivery, ids(session)[0]))
    assert books(services, sent) == {
        "recipients": MEMBERS,
        "accepted": 1,
        "uncertain": MEMBERS - 1,
        "resent": MEMBERS,
    }
    execute(services, update(Delivery).values(resent=0))
    assert "resent" not in books(services, sent)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_who_change_copies_of_an_issue_do_not_wait_for_each_other(services, sent):
    turns = iter(range(2))
    with services.writing.begin() as first, services.writing.begin() as second:
        for session in (first, second):
            session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            bounce(session, next(turns))
            session.flush()
    assert books(services, sent) == {"recipients": MEMBERS, "accepted": 2, "bounced": 2}


def test_metrics_count_copies_and_single_messages(services, sent):
    states = (State.QUEUED, State.SENDING, State.DEFERRED, State.UNCERTAIN)
    with services.writing.begin() as session:
        for number, state in zip(ids(session), states, strict=True):
            session.get_one(Delivery, number).state = state
        session.execute(insert(Delivery), [{"kind": "sign-in", "sealed_to": b"x"}] * 2)
    with services.reading.begin() as session:
        rows = select(Delivery.state, func.count()).group_by(Delivery.state)
        expected = Counter(dict(session.execute(rows).all()))
    for state, number in expected.items():
        assert figures(services)[f'deliveries{{state="{state}"}}'] == str(number)
    assert expected["queued"] == 3


@pytest.mark.parametrize("waits", ["deferred", "claimed", "unclaimed", "paused"])
def test_an_issue_of_which_something_waits_has_not_ended(services, sent, waits):
    with services.writing.begin() as session:
        one = update(Delivery).where(Delivery.id == ids(session)[0])
        if waits == "deferred":
            session.execute(one.values(state=State.DEFERRED, due_at=now()))
        elif waits == "claimed":
            session.execute(one.values(state=State.SENDING, claimed_by="elsewhere"))
        elif waits == "unclaimed":
            session.add(Chunk(newsletter_id=sent, low=90, high=99, planned=1))
        else:
            release.act(session, session.get_one(Newsletter, sent), release.pause)
    do(services, newsletters.log_endings, now())
    assert ended_issues(services) == []
    assert sum(books(services, sent).values()) == 2 * (MEMBERS + (waits == "unclaimed"))


def test_two_workers_log_an_issues_end_once(services, sent, caplog):
    caplog.set_level("INFO")
    do_twice_at_once(services, partial(newsletters.log_endings, at=now()))
    assert ended_issues(services) == [sent]
    assert [each.getMessage() for each in caplog.records].count("newsletter finished") == 1


def test_a_worker_logs_an_issues_end_by_itself(worker, services, caplog):
    caplog.set_level("INFO")
    issue = queue(services, MEMBERS)
    worker.drain()
    for minutes in (2, 6, 10):
        with time_machine.travel(now() + timedelta(minutes=minutes)):
            worker.step()
    assert ended_issues(services) == [issue]
    said = [(each.getMessage(), getattr(each, logs.FIELDS, {})) for each in caplog.records]
    assert [each for each in said if each[0].startswith("newsletter")] == [
        ("newsletter queued", {"newsletter": issue}),
        ("newsletter finished", {"newsletter": issue}),
    ]


def test_counts_are_few_however_many_copies_there_are(services, sent):
    with services.writing.begin() as session:
        copy = {"kind": "newsletter", "newsletter_id": sent, "state": State.SENDING}
        session.execute(insert(Delivery), [copy | {"due_at": None, "finished_at": now()}] * 500)
        session.execute(update(Delivery).values(state=State.ACCEPTED))
    with services.reading.begin() as session:
        assert count_faults(session) == []
        processes = session.scalar(select(func.count(IssueCount.backend.distinct()))) or 0
        assert len(session.scalars(select(IssueCount.state)).all()) <= 3 * processes
        assert processes <= 5
