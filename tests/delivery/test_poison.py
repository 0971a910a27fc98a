"""Unreadable email is put aside, the rest goes on, and no log names anybody."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from belong_mail.core.db import Base, Language, now
from belong_mail.core.jobs import Job
from belong_mail.delivery import claims, outbox, results
from belong_mail.delivery.models import Delivery, Lease, State
from belong_mail.delivery.work import JobWork
from belong_mail.members.wrapped_fields import wrap_address
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.tasks import queue_due
from belong_mail.worker.loop import Worker
from tests.at_once import at_once
from tests.database import execute, query
from tests.db_dump import dump_of
from tests.delivery.factories import books, deliveries, end_lease, hold, queue
from tests.factories import group_named, make_member, queue_issue
from tests.markers import on_both, on_sqlite

pytestmark = on_both("what is claimed and read differs by dialect")


def fail_like_a_missing_database(work: JobWork) -> None:
    raise OperationalError("", {}, Exception())


@on_sqlite
def test_an_address_that_no_envelope_can_hold_stops_nobody_else(worker, services, keyring, caplog):
    """However it came into the database: it is checked again before a word is said."""
    bad = "b@dpsk12.org>\r\nDATA"
    with services.writing.begin() as session:
        member = make_member(session, keyring, "b@dpsk12.org")
        member.wrapped_address = wrap_address(keyring, bad, member.public_id, member.group)
        make_member(session, keyring, "ada@dpsk12.org")
        issue = queue_issue(session).id
    worker.drain()
    assert books(services, issue) == {"recipients": 2, "accepted": 1, "failed": 1}
    assert "dpsk12" not in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        '"Tea"', '["Tea"]', '{"en": 5}', '{"en": {"en": "Tea"}}', "null", "5",
        '{"en": ' + "1" * 5000 + "}", "[" * 100_000, '{"en": "=?utf-8?q?=0ABcc=3A_x?="}',
    ],
    ids=["text", "list", "number", "deeper", "null", "5", "digits", "brackets", "header"],
)  # fmt: skip
def test_an_issue_whose_words_are_of_another_shape_stops_no_other(
    raw, worker, relay, services, keyring
):
    """Its columns hold JSON, which the web writes, and which Python may refuse to read."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        poisoned = newsletters.draft(session, group_named(session, "the-village"), "Bad", "Hi.")
        poisoned.due_at = now()
        session.flush()
        if services.engine.dialect.name == "postgresql" and raw.startswith("[["):
            return  # It refuses them itself.
        session.execute(text("UPDATE newsletters SET subject = :raw, text = :raw"), {"raw": raw})
        session.expire_all()
        queue_issue(session, subject="A good one")
    for _ in range(2):
        worker.drain()
    assert [mail["Subject"] for mail in relay.to("ada@dpsk12.org")] == ["A good one"]


def lose_newsletter(services, number: int) -> None:
    """Delete its row alone, as whoever has SQLite's file can."""
    with closing(sqlite3.connect(str(services.engine.url.database))) as file, file:
        file.execute("DELETE FROM newsletters WHERE id = ?", (number,))


@on_sqlite
@pytest.mark.parametrize("state", ["queued", "deferred"])
def test_a_newsletter_whose_row_is_gone_stops_no_other_email(
    state, worker, relay, services, keyring
):
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        poisoned = newsletters.draft(session, group_named(session, "the-village"), "Bad", "Hi.")
        poisoned.due_at = now()
        queue_due(worker.work_in(session))
    if state == "deferred":
        relay.script("RCPT", "451 4.3.0 Later")
        worker.drain()
    with services.writing.begin() as session:
        session.execute(update(Delivery).values(due_at=now()))
        queue_issue(session, subject="A good one")
    lose_newsletter(services, poisoned.id)
    fresh = Worker(services, keyring)
    fresh.drain()
    fresh.engine.close()
    assert [mail["Subject"] for mail in relay.to("ada@dpsk12.org")] == ["A good one"]


@on_sqlite
@pytest.mark.parametrize("unsent", ["newsletters SET queued_at", "chunks SET low = 1, inserted"])
def test_an_issue_that_the_web_writes_as_unsent_repeats_no_copy_and_stops_no_other(
    unsent, worker, relay, services
):
    queue(services, 1)
    worker.drain()
    with services.writing.begin() as session:
        session.execute(text(f"UPDATE {unsent} = NULL"))
        queue_issue(session, subject="A good one")
    worker.drain()
    subjects = [mail["Subject"] for mail in relay.to("member0@dpsk12.org")]
    assert subjects == ["This month with us", "A good one"]
    assert len(dump_of(services)["chunks"]) == 2, "It is not even planned again."


@on_sqlite
def test_a_refused_copy_of_a_newsletter_whose_row_is_gone_stops_no_worker(worker, relay, services):
    issue = queue(services, 1)
    relay.on("DATA", lambda _command: lose_newsletter(services, issue))
    relay.script("DOT", "554 5.7.1 Looks like spam")
    worker.drain()
    [refused] = deliveries(services)
    assert (refused.newsletter_id, refused.state) == (issue, State.FAILED)


def test_words_in_languages_that_are_none_of_ours_are_left_out(services, keyring):
    """However many the web writes: each would be looked through."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        issue = queue_issue(session)
        issue.subject = {"en": "Tea"} | {f"x{number}": "Tea" for number in range(2000)}
        session.flush()
        session.expire_all()
        assert issue.subject == {"en": "Tea"}


def test_a_language_that_is_none_of_ours_is_read_as_the_default(services, keyring):
    """The web may write it for a moment, and an email in no language is never written."""
    with services.writing.begin() as session:
        ada = make_member(session, keyring, "ada@dpsk12.org")
        session.flush()
        session.execute(text("UPDATE subscriptions SET language = 'zz'"))
        session.refresh(ada)
        assert ada.language == "en"
    kept = {
        f"{table}.language": table.c.language.type
        for table in Base.metadata.tables.values()
        if "language" in table.c and not table.c.language.primary_key
    }
    assert {name for name, kind in kept.items() if kind is not Language} == set(), kept


@pytest.mark.parametrize("attempts", [-9, 2**31 - 1])
def test_a_count_of_attempts_that_the_web_wrote_stops_no_worker(attempts, worker, relay, services):
    queue(services, 1)
    relay.always("RCPT", "450 4.2.1 Later")
    worker.drain()
    execute(services, update(Delivery).values(attempts=attempts, due_at=now()))
    worker.drain()
    [delivery] = deliveries(services)
    assert delivery.state == State.DEFERRED
    assert 0 < delivery.attempts < 2000


def test_half_a_character_in_an_issue_goes_out_as_a_question_mark(worker, relay, services, keyring):
    """JSON can escape one (a lone surrogate); no message can hold it."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        issue = queue_issue(session)
        issue.subject, issue.text = {"en": "Tea \ud83e"}, {"en": "Come \ud83e."}
    worker.drain()
    [mail] = relay.to("ada@dpsk12.org")
    assert mail["Subject"] == "Tea ?"


@on_sqlite
def test_a_message_of_an_unknown_kind_is_put_aside(worker, services, keyring):
    with services.writing.begin() as session:
        member = make_member(session, keyring, "ada@dpsk12.org")
        outbox.post(session, "no-such-mail", subscription_id=member.id)
        outbox.post(session, "welcome-member", subscription_id=member.id)
    worker.drain()
    assert [one.state for one in deliveries(services)] == [State.FAILED, State.ACCEPTED]


def test_a_request_with_a_negative_count_of_failures_is_given_up_too(worker, services):
    """The web may write any number, and a hundred such rows would keep all others waiting."""
    with services.writing.begin() as session:
        session.add(Job(kind="join", sealed=b"", failures=-(2**31)))
    for _ in range(4):
        worker.step()
    assert query(services, select(Job.failures)) == [3]


def test_a_request_whose_statement_fails_as_a_missing_databases_would_waits_alone(
    worker, relay, services, visitor
):
    """A row of the web's can bring it about: only a second transaction tells one from the other."""
    worker._tasks = {**worker._tasks, "odd": fail_like_a_missing_database}
    with services.writing.begin() as session:
        session.add(Job(kind="odd", due_at=now() - timedelta(days=1)))
    visitor.join("the-village", "ben@dpsk12.org")
    worker.drain()
    assert [one.recipient for one in relay.accepted] == ["ben@dpsk12.org"]
    with services.reading.begin() as session:
        [left] = session.query(Job).all()
        assert left.due_at > now()


def test_the_results_of_a_worker_whose_lease_was_lost_are_refused(worker, relay, services):
    issue = queue(services, 1)

    def steal(_command: str) -> None:
        execute(services, update(Delivery).values(claimed_by="another"))

    relay.on("DATA", steal)
    relay.script("DOT", "550 5.1.1 No such user")
    worker.drain()
    assert books(services, issue) == {"recipients": 1, "sending": 1}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_host_whose_clock_is_ahead_takes_over_nothing(worker, services):
    """Leases are by the clock of the database that hosts share."""
    issue = queue(services, 2)
    with services.writing.begin() as session:
        results.renew_lease(session, "elsewhere")
        claims.claim_chunk(session, "elsewhere", worker._issue_mailer, 100)
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        worker.engine.recover()
    assert books(services, issue) == {"recipients": 2, "sending": 2}


def test_a_lease_whose_name_is_a_path_ends_no_turn_and_no_file(worker, services, tmp_path):
    """The web may write any on SQLite; a worker's is also that of its files."""
    own = worker.engine._lock.name
    with services.writing.begin() as session:
        for name in ("", "..", "/", str(tmp_path / "kept"), f"{own}.journal", "\0", "x" * 5000):
            if name != "\0" or services.engine.dialect.name == "sqlite":
                session.add(Lease(owner=name, until=now() - timedelta(hours=1)))
    (tmp_path / "kept").touch()
    before = set(tmp_path.rglob("*"))
    worker.engine.recover()
    assert before <= set(tmp_path.rglob("*"))


def test_copies_claimed_after_a_lease_was_ended_are_found_when_the_worker_dies(worker, services):
    """Another took it for dead between two renewals; the claim begins the lease anew."""
    issue = queue(services, 2)
    with services.writing.begin() as session:
        claimed = claims.claim_chunk(session, "elsewhere", worker._issue_mailer, 100) or []
        hold(session, "elsewhere", claimed)
    end_lease(services)
    worker.engine.recover()
    assert books(services, issue) == {"recipients": 2, "uncertain": 2}


def test_two_workers_freeze_an_issue_once(worker, relay, services, keyring, caplog):
    issue = queue(services, 250)
    others = [Worker(services, keyring) for _ in range(3)]
    at_once({str(each): one.drain for each, one in enumerate([worker, *others])})
    for one in others:
        one.engine.close()
    assert caplog.text == ""
    assert books(services, issue) == {"recipients": 250, "accepted": 250}
    assert len(relay.accepted) == len({one.recipient for one in relay.accepted}) == 250
