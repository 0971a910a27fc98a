"""A chunk is claimed, read and settled with few looks at each row: what they must still see."""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import delete, event, select, text, update
from sqlalchemy.exc import OperationalError

from belong_mail.core.db import now
from belong_mail.delivery import claims, pause, results
from belong_mail.delivery.models import Chunk, Delivery
from belong_mail.delivery.throttle import MAX_IN_HAND
from belong_mail.members import erasure
from belong_mail.members.models import Subscription
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from tests.delivery.factories import books, queue
from tests.factories import make_member, queue_at_once
from tests.markers import on_both, on_postgresql, on_sqlite
from tests.scenario import ADA

pytestmark = on_both("claims and their locks")

OWNER = "elsewhere"


def names(count: int) -> list[str]:
    return [f"member{number}@dpsk12.org" for number in range(count)]


def claim(session, worker, owner: str = OWNER):
    return claims.claim_chunk(session, owner, worker._issue_mailer, 100) or []


def test_copies_read_as_their_chunk_is_claimed_equal_those_read_later(worker, services, keyring):
    """Each copy names its own delivery and its own member, in their order.

    Two of the eight leave, and one pauses before their chunk is claimed.
    """
    with services.writing.begin() as session:
        members = [
            make_member(session, keyring, name, language="es" if number % 3 == 1 else "en")
            for number, name in enumerate(names(8))
        ]
        issue = queue_at_once(worker, session).id
        members[0].ended_at = members[4].ended_at = now()
        members[6].paused_until = now() + timedelta(days=1)
    with services.writing.begin() as session:
        claimed = claim(session, worker)
        ids = [delivery_id for delivery_id, _ in claimed]
        later = dict(worker._issue_mailer.read(session, ids))
    assert ids == sorted(later)
    copies = [writing() for _, writing in claimed]
    again = [later[each]() for each in ids]
    assert [copy.message for copy in copies] == [copy.message for copy in again]
    wanted = [names(8)[number] for number in (1, 2, 3, 5, 7)]
    assert [copy.recipient for copy in copies] == wanted
    assert books(services, issue) == {"recipients": 8, "sending": 5, "withdrawn": 3}


def plan_anew(session, newsletter, least: int) -> list[Chunk]:
    session.execute(delete(Chunk))
    newsletters.plan(session, newsletter, least)
    return list(session.scalars(select(Chunk).order_by(Chunk.id)))


@pytest.mark.parametrize("away", [(), (0, 3, 8), (3, 4, 5, 6, 7)], ids=str)
def test_chunks_leave_no_gap_for_members_who_come_back_and_hold_only_one_group(
    away, worker, services, keyring, relay
):
    with services.writing.begin() as session:
        make_member(session, keyring, "else@dpsk12.org", "asian")
        members = [make_member(session, keyring, name) for name in names(9)]
        make_member(session, keyring, "else@dpsk12.org", "lgbtq")
        for number in away:
            members[number].ended_at = now()
        issue = queue_at_once(worker, session)
        chunks = plan_anew(session, issue, 2)
        for before, chunk in pairwise(chunks):
            assert chunk.low == before.high + 1
        assert chunks[0].low == 1
        assert chunks[-1].high >= members[-1].id
        assert sum(chunk.planned for chunk in chunks) == 9 - len(away)
        assert all(chunk.planned >= 2 for chunk in chunks[:-1])
        for number in away:
            members[number].ended_at = None
    worker.drain()
    assert books(services, issue.id) == {"recipients": 9, "accepted": 9}
    assert sorted(one.recipient for one in relay.accepted) == names(9)


def test_each_claim_goes_on_where_the_last_one_ended(worker, services):
    """Also if another worker makes it. The last one of a chunk finds fewer than it asked for."""
    issue = queue(services, 7)
    claimed: list[int] = []
    for owner, number in (("one", 3), ("two", 3), ("one", 1)):
        with services.writing.begin() as session:
            found = claims.claim_chunk(session, owner, worker._issue_mailer, 3) or []
            assert len(found) == number
            claimed += [one for one, _ in found]
        counted = {"recipients": 7, "sending": len(claimed), "queued": 7 - len(claimed)}
        assert books(services, issue) == {name: each for name, each in counted.items() if each}
    assert len(set(claimed)) == 7
    with services.writing.begin() as session:
        assert claims.claim_chunk(session, "two", worker._issue_mailer, 3) is None


def test_an_issue_of_which_version_1_0_has_sent_a_part_goes_on(worker, services, relay):
    """It left the number of a chunk as it was planned, and wrote beside it how many it sent."""
    issue = queue(services, 6)
    with services.writing.begin() as session:
        session.scalars(select(Chunk)).one().high = 2
    worker.drain()
    with services.writing.begin() as session:
        chunk = session.scalars(select(Chunk)).one()
        chunk.planned, chunk.inserted = 3, 2
        session.add_all(
            Chunk(newsletter_id=issue, low=low, high=low + 1, planned=2) for low in (3, 5)
        )
    assert books(services, issue) == {"recipients": 7, "accepted": 2, "withdrawn": 1, "queued": 4}
    worker.drain()
    assert books(services, issue) == {"recipients": 7, "accepted": 6, "withdrawn": 1}
    assert sorted(one.recipient for one in relay.accepted) == names(6)


@pytest.mark.parametrize(
    ("lost", "said"), [(["es"], {"accepted": 2}), (["en", "es"], {"queued": 2})], ids=str
)
def test_a_copy_without_a_message_takes_that_of_the_default_or_waits_and_never_fails(
    lost, said, worker, services, keyring
):
    """As when a language was added since the issue was queued, or a row is gone."""
    with services.writing.begin() as session:
        for language in ("en", "es"):
            make_member(session, keyring, f"{language}@dpsk12.org", language=language)
        issue = queue_at_once(worker, session).id
        session.execute(delete(RenderedIssue).where(RenderedIssue.language.in_(lost)))
    worker.drain()
    assert books(services, issue) == {"recipients": 2, **said}
    with services.reading.begin() as session:
        paused_at = session.scalar(select(Newsletter.paused_at).where(Newsletter.id == issue))
    assert (paused_at is None) == ("accepted" in said)


def test_a_chunk_whose_members_have_all_left_does_not_hold_up_the_others(worker, services):
    issue = queue(services, 9)
    with services.writing.begin() as session:
        assert len(plan_anew(session, session.get_one(Newsletter, issue), 2)) == 5
        stay = select(Subscription.id).where(Subscription.id.in_((1, 9)))
        left = update(Subscription).where(Subscription.id.not_in(stay))
        session.execute(left.values(ended_at=now()))
    worker.drain()
    assert books(services, issue) == {"recipients": 9, "withdrawn": 7, "accepted": 2}


def test_only_what_is_still_ours_is_settled(worker, services):
    """Two of five acceptances come late: one was given back, another worker holds the other."""
    issue = queue(services, 5)
    with services.writing.begin() as session:
        ids = [each for each, _ in claim(session, worker)]
        given_back = update(Delivery).where(Delivery.id == ids[1])
        session.execute(given_back.values(results.requeued()))
        theirs = update(Delivery).where(Delivery.id == ids[3])
        session.execute(theirs.values(claimed_by="another"))
        results.accept(session, OWNER, ids)
    assert books(services, issue) == {"recipients": 5, "accepted": 3, "queued": 1, "sending": 1}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_acceptance_is_written_beside_its_row_so_that_no_index_changes(worker, services):
    queue(services, 70)
    owner = worker.engine._lock.name
    with services.writing.begin() as session:
        ids = [each for each, _ in claim(session, worker, owner)]
        before = pages(session)
        results.accept(session, owner, ids)
        assert pages(session) == before
        assert len(set(before.values())) > 1


def pages(session) -> dict[int, str]:
    """Return the page of PostgreSQL's file on which each delivery is."""
    found = session.execute(
        text("SELECT id, split_part(ctid::text, ',', 1) AS page FROM deliveries")
    )
    return {row.id: row.page for row in found}


def test_claims_whose_commit_went_unanswered_leave_though_the_database_is_met_only_later(
    worker, services
):
    number = 2 * MAX_IN_HAND
    issue = queue(services, number)
    engine, is_met = worker.engine, worker.engine._is_met

    def lose_the_answer(connection) -> None:
        held = "SELECT COUNT(*) FROM deliveries WHERE state = 'sending'"
        if connection.exec_driver_sql(held).scalar():
            event.remove(services.engine, "commit", lose_the_answer)
            connection.connection.driver_connection.commit()
            raise OperationalError("COMMIT", None, ConnectionError())

    event.listen(services.engine, "commit", lose_the_answer)
    with pytest.raises(OperationalError):
        engine._turn()
    engine._is_met = lambda: False
    engine._turn()
    engine._is_met = is_met
    worker.drain()
    assert books(services, issue) == {"recipients": number, "accepted": number}


def test_an_erasure_that_a_failed_turn_undid_is_done_in_the_next_before_copies_leave(
    worker, services, keyring, relay
):
    with services.writing.begin() as session:
        make_member(session, keyring, "ben@dpsk12.org")
        erased = f"subscriptions/{make_member(session, keyring, ADA).public_id}"
        erasure.start_erasure(session, keyring.opener, keyring.index, ADA, {erased})
        queue_at_once(worker, session)
    released = []

    def fail_once_it_is_read(*savepoint) -> None:
        released.append(savepoint)
        if len(released) == 2:
            raise OperationalError("RELEASE", None, ConnectionError())

    event.listen(services.engine, "release_savepoint", fail_once_it_is_read)
    with pytest.raises(OperationalError):
        worker.engine._turn()
    worker.drain()
    assert [each.recipient for each in relay.accepted] == ["ben@dpsk12.org"]


@on_sqlite
def test_an_issue_of_a_database_that_went_back_has_its_own_words(worker, services, relay):
    """Its number may be that of an issue that left before; SQLite gives the highest again."""
    first = queue(services, 1)
    worker.drain()
    with services.writing.begin() as session:
        for table in (Delivery, Chunk, RenderedIssue, Newsletter):
            session.execute(delete(table))
        assert queue_at_once(worker, session, subject="Another").id == first
    worker.engine.restart()
    worker.drain()
    assert [each.message["Subject"] for each in relay.accepted] == ["This month with us", "Another"]


# Where two may write at once.


@on_postgresql
def test_a_claim_waits_for_an_erasure_in_its_chunk_and_leaves_that_member_out(worker, services):
    issue = queue(services, 3)
    working = threading.Thread(target=worker.drain)
    with services.writing.begin() as session:
        session.execute(delete(Subscription).where(Subscription.id == 2))
        working.start()
        working.join(0.5)
        assert working.is_alive()
    working.join()
    assert books(services, issue) == {"recipients": 3, "accepted": 2, "withdrawn": 1}


@on_postgresql
def test_a_stop_and_the_first_claim_of_an_issue_do_not_wait_for_each_other_in_a_circle(
    worker, services
):
    issue = queue(services, MAX_IN_HAND + 1)
    working = threading.Thread(target=worker.drain)
    with services.writing.begin() as session:
        newsletter = session.get_one(Newsletter, issue)
        newsletter.stopped_at = now()
        session.flush()
        working.start()
        working.join(0.5)
        pause.stop(session, issue)
    working.join()
    found = books(services, issue)
    assert found.get("accepted", 0) + found.get("withdrawn", 0) == MAX_IN_HAND + 1
