"""The retention clock: what is kept how long, row by row, as the privacy page says."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, insert, or_, select, update

from belong_mail.accounts.models import Account, BrowserSession, SignIn
from belong_mail.contact.models import Thread
from belong_mail.core import retention
from belong_mail.core.db import Base, now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import Limit
from belong_mail.delivery.models import Chunk, Delivery, SentPerMinute, State
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.leads.mailbox import MailboxChange
from belong_mail.members.imports import Import
from belong_mail.members.models import AddressChange, ManageSession, PendingConfirmation
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import rooms
from tests.browser_client import link_to
from tests.counting import listening
from tests.database import query
from tests.db_dump import dump_of
from tests.delivery.factories import queue
from tests.factories import group_named, make_member, plan_meeting, queue_issue
from tests.markers import on_both, periodic_tasks
from tests.scenario import ADA, VILLAGE, Scenario, drain_in

pytestmark = periodic_tasks

MOMENT = timedelta(minutes=2)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
MONTH = timedelta(days=30)
COPIES = timedelta(days=400)


def after(scenario, time: timedelta) -> dict[str, int]:
    """Run the clock as if so much time had passed; return how many rows each table has then."""
    scenario.purge(time)
    return {table: len(rows) for table, rows in dump_of(scenario.services).items()}


def leave(scenario) -> None:
    scenario.visitor.press(link_to(scenario.enter(), "leave"))


def ask_unreadably(scenario) -> None:
    scenario.visitor.join(VILLAGE, ADA)
    scenario.execute(update(Job).values(sealed=b"not sealed at all"))
    for _ in range(4):
        scenario.worker.drain()
    assert scenario.mails() == []


@pytest.mark.parametrize(
    ("begin", "table", "rows", "age"),
    [
        (Scenario.ask, "pending_confirmations", 1, WEEK),
        (Scenario.ask, "subscriptions", 1, WEEK),
        (leave, "subscriptions", 1, MONTH),
        (Scenario.enter, "deliveries", 2, MONTH),
        (ask_unreadably, "jobs", 1, WEEK),
    ],
)
def test_rows_stay_until_their_age_and_go_then(scenario, begin, table, rows, age):
    begin(scenario)
    assert after(scenario, age - MOMENT)[table] == rows
    assert after(scenario, age + MOMENT)[table] == 0


def test_each_age_is_so_many_days_as_the_privacy_page_says():
    named = vars(retention).items()
    assert {
        name.removesuffix("_AGE"): age / DAY for name, age in named if name.endswith("_AGE")
    } == {
        "PENDING_CONFIRMATION": 7, "INVITED": 3, "UNSTARTED_IMPORT": 1, "IMPORT": 30, "ENDED": 30,
        "ADDRESS_CHANGE": 7, "WAITLIST": 365, "INVITATION": 8, "SESSION": 1, "DELIVERY": 30,
        "COPY": 400, "ARGUMENTS": 1, "READ_MAIL": 7, "INBOUND_DIGEST": 30, "UNTRIED_MAILBOX": 1,
        "REMINDER": 30, "THREAD_MAX": 30, "MEETING": 90, "AUDIT": 730, "UNREADABLE": 7,
        "SENT_PER_MINUTE": 2, "NO": 0,
    }  # fmt: skip


def rows_of_each_age(session) -> list[tuple[Base, timedelta]]:
    group = group_named(session, VILLAGE).id
    person = Account(address_index=b"", wrapped_address=b"")
    session.add(person)
    session.flush()
    of_group: dict[str, Any] = {"group_id": group, "language": "en", "report": {}}
    return [
        (SignIn(account_id=person.id, browser_hash=b""), DAY),
        (BrowserSession(account_id=person.id, token_hash=b""), DAY),
        (Import(**of_group), DAY),
        (ManageSession(secret_hash=b"", locked=b"", expires_at=now() + DAY), DAY),
        (InboundMailbox(name=b""), DAY),
        (SentPerMinute(owner="", minute=now(), number=1), 2 * DAY),
        (AddressChange(wrapped=b""), WEEK),
        (MailboxChange(group_id=group, wrapped=b""), WEEK),
        (Import(**of_group, started_at=now()), MONTH),
        (InboundDigest(digest=b""), MONTH),
    ]


def test_rows_that_nothing_else_keeps_are_deleted_at_their_age(scenario):
    with scenario.services.writing.begin() as session:
        rows = rows_of_each_age(session)
        ages = [(row.__tablename__, age) for row, age in rows]
        session.add_all(row for row, _ in rows)
    for time in sorted({age + each for _, age in ages for each in (-MOMENT, MOMENT)}):
        left = after(scenario, time)
        wanted = Counter(table for table, age in ages if age > time)
        assert {table: left[table] for table, _ in ages} == {t: wanted[t] for t, _ in ages}, time


def test_rows_that_the_web_dates_years_ahead_go_at_once(scenario):
    later = now() + timedelta(days=9000)
    with scenario.services.writing.begin() as session:
        group = group_named(session, VILLAGE).id
        person = Account(address_index=b"", wrapped_address=b"")
        plan_meeting(session, cancelled_at=later)
        member = make_member(session, scenario.keyring, ADA)
        member.ended_at = later
        session.add(person)
        session.flush()
        of_group: dict[str, Any] = {"group_id": group, "language": "en", "report": {}}
        session.add_all(
            [
                BrowserSession(account_id=person.id, token_hash=b"", started_at=later),
                Import(**of_group, created_at=later),
                Import(**of_group, started_at=later),
                Limit(key=b"forms", used_until=later.timestamp()),
                Thread(reference="K7QM-2XRD", receipt_key=b"", topic="need", last_at=later),
                PendingConfirmation(subscription=member, language="en", created_at=later),
                ManageSession(secret_hash=b"", locked=b"", expires_at=later),
                AddressChange(wrapped=b"", created_at=later),
                MailboxChange(group_id=group, wrapped=b"", created_at=later),
                SignIn(account_id=person.id, browser_hash=b"", created_at=later),
            ]
        )
    left = after(scenario, timedelta(0))
    kept = {"accounts", "audit_entries", "groups", "questions"}
    assert {table for table, rows in left.items() if rows} == kept


def test_a_request_that_the_web_dates_years_ahead_is_read(scenario):
    """Else twenty thousand keep everyone's forms out until somebody deletes them."""
    scenario.visitor.join(VILLAGE, ADA)
    scenario.execute(update(Job).values(due_at=now() + timedelta(days=9000)))
    scenario.worker.drain()
    assert scenario.subjects() == ["Confirm your request to DPS Belong"]


def test_a_membership_stays_and_only_the_paper_around_it_goes(scenario):
    scenario.enter(first_name="Ada")
    later = after(scenario, timedelta(days=1000))
    assert later["subscriptions"] == 1
    assert (later["pending_confirmations"], later["jobs"], later["deliveries"]) == (0, 0, 0)
    assert scenario.is_member()


def test_a_person_who_asks_again_in_the_last_days_can_still_confirm(scenario):
    leave(scenario)
    with time_machine.travel(now() + MONTH - timedelta(days=1)):
        link = scenario.confirm_link()
    with time_machine.travel(now() + MONTH + timedelta(days=1)):
        assert after(scenario, timedelta(0))["subscriptions"] == 1
        assert scenario.visitor.follow(link).status_code == 200
        assert scenario.is_member()


def test_only_the_suppression_of_an_address_that_wants_no_email_stays(scenario):
    scenario.enter(slug="lgbtq")
    scenario.visitor.press(link_to(scenario.ask(), "not-me"), choice="never")
    assert after(scenario, timedelta(0))["subscriptions"] == 2, "the request is still to be read"
    scenario.worker.drain()
    gone = after(scenario, timedelta(0))
    assert (gone["subscriptions"], gone["jobs"], gone["suppressions"]) == (0, 0, 1)
    assert after(scenario, timedelta(days=10_000))["suppressions"] == 1


def test_a_membership_stays_while_mail_to_it_waits(scenario):
    scenario.enter()
    found = scenario.subscription()
    with scenario.services.writing.begin() as session:
        session.add(Delivery(kind="welcome-member", subscription_id=found.id))
    scenario.visitor.press(link_to(scenario.relay.to(ADA)[-1], "leave"))
    assert after(scenario, MONTH + MOMENT)["subscriptions"] == 1
    scenario.worker.drain()
    assert after(scenario, MONTH + MOMENT)["subscriptions"] == 0


def test_an_issues_deliveries_stay_and_forget_who_they_were_for(scenario):
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, ADA)
        queue_issue(session)
    [issue] = scenario.mails()
    scenario.visitor.follow(link_to(issue, "leave"))
    assert after(scenario, MONTH + MOMENT)["deliveries"] == 1
    with scenario.services.reading.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        assert delivery.state == State.ACCEPTED
        assert delivery.subscription_id is None


def report_of(scenario, number: int = -1) -> dict[str, int]:
    with scenario.services.reading.begin() as session:
        issues = list(session.scalars(select(Newsletter).order_by(Newsletter.id)))
        return newsletters.report(session, issues[number])


def test_an_old_issue_keeps_only_how_many_of_its_copies_ended_how(scenario):
    queue(scenario.services, 5)
    scenario.mails()
    with scenario.services.writing.begin() as session:
        first, second, *_ = session.scalars(select(Delivery).order_by(Delivery.id))
        first.state, second.resent = State.BOUNCED, 1
    before = report_of(scenario)
    assert after(scenario, COPIES - MOMENT)["deliveries"] == 5
    assert after(scenario, COPIES + MOMENT)["deliveries"] == 0
    assert report_of(scenario) == before
    assert (before["recipients"], before["accepted"], before["bounced"]) == (5, 4, 1)
    assert before["resent"] == 1


def test_a_report_is_right_while_an_old_issue_is_being_counted(scenario):
    """A little goes at a time; what is counted and what is not add up at each moment."""
    issue_id = queue(scenario.services)
    scenario.mails()
    with scenario.services.writing.begin() as session:
        row = {"kind": "newsletter", "newsletter_id": issue_id, "state": State.ACCEPTED}
        row |= {"created_at": now(), "finished_at": now(), "due_at": None}
        session.execute(insert(Base.metadata.tables["deliveries"]), [row] * 1_200)
    left, later = [], now() + COPIES + MOMENT
    for _ in range(4):
        with time_machine.travel(later), scenario.services.writing.begin() as session:
            rooms.RETENTION["copies of old issues"][0](session)
        assert report_of(scenario)["accepted"] == 1_201
        with scenario.services.reading.begin() as session:
            left.append(session.scalar(select(func.count(Delivery.id))))
            [issue] = session.scalars(select(Newsletter))
    assert left == [701, 201, 0, 0]
    assert issue.counted_at is not None


def test_an_old_issue_that_is_paused_keeps_what_waits(scenario):
    queue(scenario.services, 3)
    scenario.mails()
    with scenario.services.writing.begin() as session:
        waiting = session.scalars(select(Delivery).order_by(Delivery.id)).first()
        waiting.state, waiting.due_at, waiting.finished_at = State.QUEUED, now(), None
        paused = session.scalars(select(Chunk)).one()
        paused.is_halted = True
        queue_issue(session)
    scenario.mails()
    reports = report_of(scenario, 0), report_of(scenario, 1)
    assert after(scenario, COPIES + MOMENT)["deliveries"] == 1
    assert (report_of(scenario, 0), report_of(scenario, 1)) == reports
    assert reports[0]["queued"] == 1


def test_words_of_an_email_to_be_resent_or_just_ended_are_kept(scenario):
    scenario.ask()
    again = {"state": State.UNCERTAIN, "due_at": now() + WEEK}
    ended = {"state": State.ACCEPTED, "due_at": None, "finished_at": now() + DAY + MOMENT}
    for values in (again, ended):
        scenario.execute(update(Delivery).values(**values))
        scenario.purge(2 * DAY)
        assert query(scenario.services, select(Delivery.sealed_arguments))[0] is not None


def test_mail_that_still_waits_is_never_cleared_away(scenario):
    scenario.visitor.join(VILLAGE, ADA)
    assert after(scenario, timedelta(days=365))["jobs"] == 1, "nor a request"
    scenario.relay.always("CONNECT", "421 4.3.2 down")
    scenario.visitor.send("/contact", topic="need", message="Hello")
    scenario.worker.drain()
    kept = after(scenario, timedelta(days=5))
    tables = ("deliveries", "contact_messages", "pending_confirmations")
    assert [kept[table] for table in tables] == [2, 1, 1]


def test_a_message_to_the_office_goes_thirty_days_after_it_was_mailed(scenario):
    typed = {"topic": "need", "message": "Hello", "email": "ada@example.org"}
    answer = scenario.visitor.send("/contact", **typed)
    drain_in(scenario.worker, days=3)
    days = timedelta(days=3)
    assert after(scenario, days + MONTH - MOMENT)["contact_messages"] == 1
    assert scenario.visitor.open(answer.location).status_code == 200
    assert after(scenario, days + MONTH + MOMENT)["contact_messages"] == 0
    assert scenario.visitor.open(answer.location).status_code == 404


@pytest.mark.parametrize("state", [State.BOUNCED, State.FAILED, State.EXPIRED])
def test_a_message_that_never_reached_the_office_stays(scenario, state):
    scenario.visitor.send("/contact", topic="need", message="Hello")
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        about = session.scalars(select(Delivery.about_id)).one()
        session.add(Delivery(kind="erased", about_id=about, sealed_to=b"x"))
        session.flush()
        session.execute(update(Delivery).values(state=state, finished_at=now(), due_at=None))
    kept = after(scenario, timedelta(days=365))
    assert (kept["contact_messages"], kept["deliveries"]) == (1, 1)


def test_used_allowances_are_forgotten_when_they_are_whole_again(scenario):
    scenario.ask()
    before, later = after(scenario, timedelta(0)), after(scenario, timedelta(days=4))
    for table in ("limits", "worker_limits"):
        assert before[table] > 0
        assert later[table] == 0


def test_purge_says_what_it_removed(scenario, cli):
    scenario.visitor.send("/contact", topic="need", message="Hello")
    scenario.ask()
    with time_machine.travel(now() + timedelta(days=31)):
        said = cli.invoke(args=["purge"])
    removed = dict(line.split("\t") for line in said.output.splitlines())
    assert (said.exit_code, removed.keys()) == (0, rooms.RETENTION.keys())
    assert {name: rows for name, rows in removed.items() if rows != "0"} == {
        "pending confirmations": "1", "subscriptions": "1", "contact messages": "1",
        "contact threads": "1", "deliveries": "2", "links": "1",
    }  # fmt: skip


@on_both("every rule deletes")
def test_the_worker_leaves_nothing_for_purge_to_delete(scenario):
    """It asks first of which rows there are any that are over; `purge` does not ask."""
    scenario.visitor.send("/contact", topic="need", message="Hello")
    scenario.ask()
    with time_machine.travel(now() + timedelta(days=31)):
        scenario.worker.step()
        with scenario.services.writing.begin() as session:
            assert sum(rooms.purge_all(session).values()) == 0
    for table in ("pending_confirmations", "subscriptions", "contact_messages", "threads"):
        assert scenario.rows(table) == 0


@on_both("what is stored")
def test_a_person_who_is_gone_is_gone_from_the_whole_database(scenario):
    scenario.visitor.press(link_to(scenario.enter(first_name="Ada"), "leave"))
    found = scenario.subscription()
    traces = (found.public_id, found.address_index, found.wrapped_address)
    after(scenario, MONTH + MOMENT)
    everything = repr(dump_of(scenario.services))
    assert all(repr(trace) not in everything for trace in traces)


def test_a_periodic_task_that_fails_is_named_and_stops_nothing_else(scenario, caplog):
    scenario.ask()
    with scenario.services.writing.begin() as session:
        make_member(session, scenario.keyring, "ben@dpsk12.org")
        issue = newsletters.draft(session, group_named(session, VILLAGE), "Tea", "At four.")
        issue.due_at = now() + MONTH

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM pending_confirmations"):
            raise ValueError(ADA)

    failing = listening(scenario.engine, "before_cursor_execute", fail)
    with failing, time_machine.travel(now() + MONTH + MOMENT):
        scenario.worker.drain()
    assert [mail["Subject"] for mail in scenario.relay.to("ben@dpsk12.org")] == ["Tea"]
    assert (scenario.rows("pending_confirmations"), scenario.rows("deliveries")) == (1, 1)
    assert "What is over stays (pending confirmations) for 15 s: ValueError" in caplog.text
    assert ADA not in caplog.text


@on_both("transactions")
def test_rules_that_cannot_be_asked_together_run_alone_and_the_log_says_so(scenario, caplog):
    scenario.ask()

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if (
            statement.startswith("SELECT")
            and "FROM pending_confirmations" in statement
            and "limits" in statement
        ):
            raise ValueError(ADA)

    failing = listening(scenario.engine, "before_cursor_execute", fail)
    with failing, time_machine.travel(now() + WEEK + MOMENT):
        scenario.worker.step()
    assert scenario.rows("pending_confirmations") == 0
    assert {record.message for record in caplog.records if record.levelname == "ERROR"} == {
        "What is due is not asked about at once for 15 s: ValueError"
    }
    assert ADA not in caplog.text


def test_much_that_is_over_goes_a_little_at_a_time(scenario):
    """No transaction is long, and what is left does not wait for the next minute."""
    with scenario.services.writing.begin() as session:
        at = now() - timedelta(days=2)
        old: dict[str, object] = {"kind": "erased", "sealed_to": b"x", "sealed_arguments": b"x"}
        old |= {"state": State.ACCEPTED, "created_at": at, "finished_at": at, "due_at": None}
        session.execute(insert(Base.metadata.tables["deliveries"]), [old] * 1_200)
    left = []
    for _ in range(4):
        scenario.worker.step()
        with scenario.services.reading.begin() as session:
            sealed = or_(Delivery.sealed_arguments.is_not(None), Delivery.sealed_to.is_not(None))
            kept = select(func.count(Delivery.id)).where(sealed)
            left.append(session.scalar(kept))
    assert left == [700, 200, 0, 0]
