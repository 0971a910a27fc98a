"""What cannot be written or opened is put aside, the rest goes on, and no log names anybody."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import update

from belong_mail.db import now
from belong_mail.mail.feed import Drive, Feed
from belong_mail.mail.mailbox import Mailbox
from belong_mail.newsletters.models import Newsletter
from belong_mail.outbox import service as outbox
from belong_mail.parts import Parts
from belong_mail.sending import claims, pace, settling
from belong_mail.sending.models import Delivery, Lease, State
from belong_mail.sending.presence import Presence
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker, make_worker
from tests.factories import group_named, make_member, queue_issue
from tests.marks import on_sqlite
from tests.people import Visitor
from tests.sending.factories import books, deliveries, end_lease, queue
from tests.servers.smtp import Server


def test_an_address_that_cannot_be_opened_stops_nobody_else(
    worker: Worker, parts: Parts, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    issue = queue(parts, keyring, 3)
    with parts.writing.begin() as session:
        session.execute(
            update(Subscription).where(Subscription.id == 2).values(wrapped_address=b"rubbish")
        )
    worker.drain()
    assert books(parts, issue) == {"recipients": 3, "accepted": 2, "failed": 1}
    assert "cannot be written: CannotOpen" in caplog.text
    assert "dpsk12" not in caplog.text


@on_sqlite
def test_an_address_that_no_envelope_can_hold_stops_nobody_else(
    worker: Worker, parts: Parts, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    """However it came into the database: it is checked again before a word is said (F10)."""
    bad = "b@dpsk12.org>\r\nDATA"
    with parts.writing.begin() as session:
        member = make_member(session, keyring, "b@dpsk12.org")
        member.wrapped_address = keyring.wrap(bad, "wrapped_address", member.public_id)
        make_member(session, keyring, "ada@dpsk12.org")
        issue = queue_issue(session).id
    worker.drain()
    assert books(parts, issue) == {"recipients": 2, "accepted": 1, "failed": 1}
    assert "dpsk12" not in caplog.text


class Squeamish(Mailbox):
    """Refuses its first message before a word is said, as a conversation does."""

    def converse(self, feed: Feed, drive: Drive, /) -> None:
        if parcel := feed.take(0):
            feed.unwritable(parcel)
        super().converse(feed, drive)


@on_sqlite
def test_a_message_that_the_transport_refuses_stops_nobody_else(
    parts: Parts, keyring: Keyring, tmp_path: Path
) -> None:
    issue = queue(parts, keyring, 3)
    worker = make_worker(parts, keyring, Squeamish(tmp_path / "mailbox"))
    worker.drain()
    worker.engine.close()
    assert books(parts, issue) == {"recipients": 3, "accepted": 2, "failed": 1}


@on_sqlite
def test_an_issue_that_cannot_be_written_fails_in_the_books_and_other_issues_go_out(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    """An older version may have kept what is refused today."""
    poisoned = queue(parts, keyring, 120)
    with parts.writing.begin() as session:
        session.execute(update(Newsletter).values(subject="=?utf-8?q?=0ABcc=3A_x?="))
        good = queue_issue(session, subject="A good one").id
    worker.drain()
    assert books(parts, good) == {"recipients": 120, "accepted": 120}
    assert books(parts, poisoned) == {"recipients": 120, "failed": 120}
    assert f"Newsletter {poisoned} cannot be written" in caplog.text
    assert not any(b"\nBcc:" in one.data for one in relay.accepted)


@on_sqlite
def test_a_message_of_an_unknown_kind_is_put_aside(
    worker: Worker, parts: Parts, keyring: Keyring
) -> None:
    with parts.writing.begin() as session:
        member = make_member(session, keyring, "ada@dpsk12.org")
        outbox.post(session, "no-such-mail", subscription_id=member.id)
        outbox.post(session, "welcome-member", subscription_id=member.id)
    worker.drain()
    assert [one.state for one in deliveries(parts)] == [State.FAILED, State.ACCEPTED]


def test_a_request_that_cannot_be_opened_stops_no_other_and_is_left_for_the_operator(
    worker: Worker, relay: Server, parts: Parts, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    with parts.writing.begin() as session:
        group = group_named(session, "the-village")
        session.add(Request(kind="join", group_id=group.id, sealed=b"ada@dpsk12.org"))
    visitor.join("the-village", "ben@dpsk12.org")
    worker.drain()
    assert [one.recipient for one in relay.accepted] == ["ben@dpsk12.org"]
    with parts.reading.begin() as session:
        [left] = session.query(Request).all()
        assert left.failures == 3
    assert "Request 1 cannot be read: CannotOpen" in caplog.text
    assert "dpsk12" not in caplog.text


def test_the_results_of_a_worker_whose_lease_was_lost_are_refused(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    """Another took over while the message was on its way."""
    issue = queue(parts, keyring, 1)

    def steal(_command: str) -> None:
        with parts.writing.begin() as session:
            session.execute(update(Delivery).values(claimed_by="another"))

    relay.on("DATA", steal)
    relay.script("DOT", "550 5.1.1 No such user")
    worker.drain()
    assert books(parts, issue) == {"recipients": 1, "sending": 1}


def test_a_late_worker_that_knows_more_settles_what_was_uncertain(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, tmp_path: Path
) -> None:
    """Its lease ran out while it waited for an answer, which was a good one."""
    issue = queue(parts, keyring, 1)
    elsewhere = Presence(tmp_path / "another host")

    def take_over(_command: str) -> None:
        with parts.writing.begin() as session:
            session.execute(update(Lease).values(until=now() - timedelta(seconds=1)))
            settling.recover(session, elsewhere, timedelta(minutes=15))
        assert books(parts, issue) == {"recipients": 1, "uncertain": 1}

    relay.on("DOT", take_over)
    worker.drain()
    elsewhere.end()
    assert books(parts, issue) == {"recipients": 1, "accepted": 1}


def test_what_a_lost_host_held_is_uncertain(worker: Worker, parts: Parts, keyring: Keyring) -> None:
    """Its journal is out of reach, so all of it may have left: it follows the setting."""
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        settling.renew(session, "elsewhere")
        assert len(claims.claim_chunk(session, "elsewhere", worker._press, 100) or ()) == 2
    worker.drain()
    assert books(parts, issue) == {"recipients": 2, "sending": 2}
    end_lease(parts)
    worker.engine.recover()
    assert books(parts, issue) == {"recipients": 2, "uncertain": 2}
    with time_machine.travel(now() + timedelta(minutes=16), tick=False):
        worker.drain()
    assert books(parts, issue) == {"recipients": 2, "accepted": 2, "resent": 2}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_host_whose_clock_is_ahead_takes_over_nothing(
    worker: Worker, parts: Parts, keyring: Keyring
) -> None:
    """Leases are by the clock of the database that hosts share."""
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        settling.renew(session, "elsewhere")
        claims.claim_chunk(session, "elsewhere", worker._press, 100)
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        worker.engine.recover()
    assert books(parts, issue) == {"recipients": 2, "sending": 2}


def test_what_a_worker_claims_after_its_lease_was_ended_is_found_when_it_dies(
    worker: Worker, parts: Parts, keyring: Keyring
) -> None:
    """Another took it for dead between two renewals; the claim begins the lease anew."""
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        claimed = claims.claim_chunk(session, "elsewhere", worker._press, 100) or []
        pace.turns(session, pace.Policy(None, None, None), "elsewhere", set(), claimed)
    end_lease(parts)
    worker.engine.recover()
    assert books(parts, issue) == {"recipients": 2, "uncertain": 2}


def test_two_workers_freeze_an_issue_once(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    """Both take a stretch of the same new issue at the same moment."""
    issue = queue(parts, keyring, 250)
    others = [worker, *(make_worker(parts, keyring) for _ in range(3))]
    start = threading.Barrier(len(others))
    failures: list[BaseException] = []

    def work(one: Worker) -> None:
        start.wait()
        try:
            one.drain()
        except Exception as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=[one]) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in others[1:]:
        one.engine.close()
    assert failures == []
    assert caplog.text == ""
    assert books(parts, issue) == {"recipients": 250, "accepted": 250}
    assert len(relay.accepted) == len({one.recipient for one in relay.accepted}) == 250
