"""The books about an issue balance at every moment (house.md 5)."""

import time
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.db import now
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from belong_mail.sending import parcels
from belong_mail.sending.models import State
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Request, Subscription, Wish
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import group_named, make_member, make_members, queue_issue
from tests.marks import one_connection
from tests.servers.smtp import Server

Books = dict[str, int]


def books(parts: Parts, issue: Newsletter) -> Books:
    """Return the states that are not empty, once they add up to the recipients."""
    with parts.reading.begin() as session:
        report = newsletters.report(session, session.get_one(Newsletter, issue.id))
    assert report["recipients"] == sum(report[state.value] for state in State)
    return {name: number for name, number in report.items() if number}


def queue(parts: Parts, keyring: Keyring, members: int) -> Newsletter:
    with parts.writing.begin() as session:
        make_members(session, keyring, members)
        return queue_issue(session)


def leave(parts: Parts, keyring: Keyring, address: str) -> None:
    with parts.writing.begin() as session:
        subscriptions.leave(session, _find(parts, keyring, address).public_id)


def _find(parts: Parts, keyring: Keyring, address: str) -> Subscription:
    with parts.reading.begin() as session:
        group = group_named(session, "the-village")
        index = keyring.index.member(group.public_id, address)
        return session.scalars(
            select(Subscription).where(Subscription.address_index == index)
        ).one()


def test_the_books_balance_before_while_and_after(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 45)
    assert books(parts, issue) == {"recipients": 45, "queued": 45}
    while_sending: list[Books] = []
    relay.on("DOT", lambda _: while_sending.append(books(parts, issue)))
    relay.script("RCPT", "550 5.1.1 No such user", "550 5.2.2 Full", "450 4.2.1 Later")
    worker.drain()
    assert while_sending[0] == {"recipients": 45, "sending": 45}
    assert books(parts, issue) == {
        "recipients": 45, "deferred": 1, "accepted": 42, "bounced": 1, "failed": 1,
    }  # fmt: skip


def test_who_leaves_before_their_copy_is_written_has_withdrawn(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 3)
    leave(parts, keyring, "member1@dpsk12.org")
    assert books(parts, issue) == {"recipients": 3, "queued": 3}
    worker.drain()
    assert books(parts, issue) == {"recipients": 3, "accepted": 2, "withdrawn": 1}
    assert relay.to("member1@dpsk12.org") == []


@one_connection
def test_who_leaves_while_the_issue_goes_out_gets_nothing_more(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    """Who was read ahead two seconds ago is asked again; one more copy may have been begun."""
    issue = queue(parts, keyring, 5)
    staying = [f"member{number}@dpsk12.org" for number in range(5)]

    def dawdle(_command: str) -> None:
        if staying:
            while staying:
                leave(parts, keyring, staying.pop())
            time.sleep(parcels.STALE + 0.1)

    relay.on("DOT", dawdle)
    worker.drain()
    left = len(relay.accepted)
    assert 1 <= left <= 2
    assert books(parts, issue) == {"recipients": 5, "accepted": left, "withdrawn": 5 - left}


def test_who_asks_never_to_be_mailed_again_is_left_alone_by_an_issue_under_way(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        subscription = _find(parts, keyring, "member1@dpsk12.org")
        session.add(Request(kind="never-mail", subscription_id=subscription.id))
    worker.drain()
    assert relay.to("member1@dpsk12.org") == []
    balance = books(parts, issue)
    assert balance.pop("recipients") == 2
    assert balance.pop("accepted") == 1
    assert sum(balance.values()) == 1


def test_who_confirms_after_the_issue_was_queued_is_not_in_it(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        make_member(session, keyring, "late@dpsk12.org")
    worker.drain()
    assert relay.to("late@dpsk12.org") == []
    assert books(parts, issue) == {"recipients": 2, "accepted": 2}


def test_who_asked_early_and_confirms_after_the_issue_was_queued_is_not_in_it(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    with parts.writing.begin() as session:
        make_member(session, keyring, "first@dpsk12.org")
        make_member(session, keyring, "late@dpsk12.org").confirmed_at = None
        make_member(session, keyring, "last@dpsk12.org")
        issue = queue_issue(session)
    with parts.writing.begin() as session:
        session.get_one(
            Subscription, _find(parts, keyring, "late@dpsk12.org").id
        ).confirmed_at = now()
    worker.drain()
    assert relay.to("late@dpsk12.org") == []
    assert books(parts, issue) == {"recipients": 2, "accepted": 2}


def test_who_has_only_asked_to_join_gets_no_issue(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    with parts.writing.begin() as session:
        make_member(session, keyring, "asked@dpsk12.org").confirmed_at = None
        make_member(session, keyring, "other@dpsk12.org", "lgbtq")
        issue = queue_issue(session)
    worker.drain()
    assert books(parts, issue) == {}
    assert relay.accepted == []


def test_an_issue_is_queued_once_however_often_it_is_asked(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 2)
    with parts.writing.begin() as session:
        newsletters.queue(session, session.get_one(Newsletter, issue.id))
    worker.drain()
    with parts.writing.begin() as session:
        newsletters.queue(session, session.get_one(Newsletter, issue.id))
    worker.drain()
    assert len(relay.accepted) == 2
    assert books(parts, issue) == {"recipients": 2, "accepted": 2}


def test_an_issue_waits_for_its_time(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    with parts.writing.begin() as session:
        make_members(session, keyring, 1)
        issue = newsletters.draft(session, group_named(session, "the-village"), "Soon", "Hello")
        issue.due_at = now() + timedelta(hours=1)
    worker.drain()
    assert relay.accepted == []
    assert worker.waiting() == {"scheduled": 1}
    with parts.writing.begin() as session:
        session.get_one(Newsletter, issue.id).due_at = now()
    worker.drain()
    assert len(relay.accepted) == 1
    assert worker.waiting() == {}


@pytest.mark.parametrize("members", [0, 1, 99, 100, 101, 250])
def test_an_issue_reaches_everybody_over_the_edges_of_its_stretches(
    members: int, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, members)
    worker.drain()
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) == members
    assert books(parts, issue).get("accepted", 0) == members


@pytest.mark.parametrize("comes", ["confirms", "ends a pause"])
def test_who_comes_in_while_an_issue_is_queued_is_in_its_books(
    worker: Worker, parts: Parts, keyring: Keyring, comes: str
) -> None:
    """The page's clock is late, or its transaction is open while the worker's looks."""
    with parts.writing.begin() as session:
        _, late, _ = (make_member(session, keyring, f"{each}@dpsk12.org") for each in range(3))
        if comes == "confirms":
            late.confirmed_at = None
        else:
            subscriptions.pause(session, late.public_id, now() + timedelta(days=7))
        issue = queue_issue(session)
        before = now() - timedelta(seconds=5)
    with parts.writing.begin() as session, time_machine.travel(before, tick=False):
        if comes == "confirms":
            wish = Wish(subscription_id=late.id, language="en")
            session.add(wish)
            session.flush()
            subscriptions.confirm(session, wish.confirm_id)
        else:
            subscriptions.resume(session, late.public_id)
    assert books(parts, issue) == {"recipients": 2, "queued": 2}
    worker.drain()
    assert books(parts, issue) == {"recipients": 3, "accepted": 3}
