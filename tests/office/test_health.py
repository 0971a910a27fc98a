"""The office reads how the site is, in words, and does what needs no terminal."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound import bounces
from belong_mail.inbound.models import InboundMailbox
from belong_mail.members.models import Subscription
from belong_mail.ops import figures, hold
from tests.browser_client import Form
from tests.database import execute, query
from tests.db_dump import trail
from tests.factories import make_member
from tests.markers import on_both, on_sqlite
from tests.overlapping import do_twice_at_once

PAGE, TODAY = "/office/health", "/office"


def words(office, page: str = PAGE) -> str:
    main = office.open(page).text.partition("<main")[2].partition("</main>")[0]
    return " ".join(re.sub("<[^>]+>", " ", main).split())


@on_sqlite
def test_all_is_said_to_be_well_when_it_is_and_a_hold_and_a_backup_are_told(
    office, services, worker, cli, tmp_path
):
    worker.drain()
    said = words(office)
    for sentence in (
        "All is well: email goes out, and the forms that people send are read right away.",
        "We don’t know of one.",
        "No more email bounces than usual.",
    ):
        assert sentence in said
    assert "Try sending now" not in said
    assert "Todo está bien: los correos salen" in words(office, f"{PAGE}?lang=es")
    assert "Site status All is well: email goes out" in words(office, TODAY)
    made = cli.invoke(args=["db", "backup", str(tmp_path / "copy")])
    assert made.exit_code == 0, made.output
    execute(services, update(hold.Host).values(held_because="asked"))
    said = words(office)
    assert "Sending is on hold. Nothing is lost." in said
    assert "The last one that we know of was made on" in said


def test_a_dead_worker_and_old_email_are_told(office, services, worker):
    worker.drain()
    with services.writing.begin() as session:
        session.add(
            Delivery(
                kind="sign-in",
                sealed_to=b"x",
                created_at=now() - timedelta(minutes=40),
                due_at=now() + timedelta(hours=1),
            )
        )
        session.add(Job(kind="join", due_at=now() - timedelta(minutes=31)))
    with time_machine.travel(now() + timedelta(minutes=10)):
        said, today = words(office), words(office, TODAY)
    assert "All is well" not in today
    assert "The program that sends email isn’t running." in today
    assert "The program that sends email isn’t running." in said
    assert "Try sending now" in said
    assert "Email has been waiting for more than 15 minutes." in said
    assert "Forms that people sent have been waiting for more than 15 minutes." in said


def test_it_is_told_when_the_mailbox_for_bounces_was_last_read(office, services):
    assert "mailbox" not in words(office)
    with services.writing.begin() as session:
        session.add(InboundMailbox(name=b"one"))
    assert "The mailbox that bounces come to has not been read yet." in words(office)
    for age, is_told in ((59, False), (61, True)):
        looked_at = now() - timedelta(minutes=age)
        execute(services, update(InboundMailbox).values(looked_at=looked_at, failures=1))
        said = words(office)
        assert "The mailbox that bounces come to was last read on" in said
        assert ("hasn’t been read for an hour." in said) == is_told
    spanish = words(office, f"{PAGE}?lang=es")
    assert "El buzón al que llegan los correos devueltos lleva una hora sin leerse." in spanish


def test_waiting_email_is_tried_by_a_press_and_again_after_five_minutes(
    office, visitor, services, worker, relay
):
    def wait() -> None:
        with services.writing.begin() as session:
            later = session.scalars(select(Delivery).order_by(Delivery.id.desc())).first()
            later.state, later.due_at = State.DEFERRED, now() + timedelta(hours=1)

    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    worker.drain()
    wait()
    for expected in (2, 2):
        assert office.act(f"{PAGE}/retry").status_code == 303
        worker.drain()
        assert len(relay.accepted) == expected
        wait()
    assert len(trail(services, audit.Kind.RETRY_ASKED)) == 2
    with time_machine.travel(now() + timedelta(minutes=6)):
        office.act(f"{PAGE}/retry")
        worker.drain()
    assert len(relay.accepted) == 3


@on_both("races")
def test_two_workers_note_the_same_figure_at_once(services):
    do_twice_at_once(services, lambda session: figures.note(session, figures.BREAKER, 1))
    with services.reading.begin() as session:
        assert session.get_one(figures.Figure, figures.BREAKER).number == 1


@pytest.fixture
def broken(services, keyring) -> None:
    """Let twelve members' addresses have bounced as unknown, and the breaker be on."""
    with services.writing.begin() as session:
        for number in range(12):
            member = make_member(session, keyring, f"gone{number}@dpsk12.org")
            member.confirmed_at = now() - timedelta(days=99)
            for days in (5, 1):
                at = now() - timedelta(days=days)
                session.add(
                    Delivery(
                        kind="newsletter", subscription_id=member.id, state=State.BOUNCED,
                        code=550, enhanced="5.1.1", phrase="no such user", created_at=at,
                        finished_at=at, due_at=None,
                    )
                )  # fmt: skip
        until = (now() + timedelta(hours=3)).timestamp()
        session.merge(WorkerLimit(key=bounces.BREAKER, used_until=until))
        figures.note_breaker(session)


def active(services) -> int:
    return len(query(services, select(Subscription).where(Subscription.is_active)))


@on_both("locks")
@pytest.mark.usefixtures("broken")
def test_many_unknown_addresses_are_believed_when_the_office_says_so_and_brought_back(
    office, services, worker
):
    assert "Many addresses bounced as unknown within an hour." in words(office)
    assert "Yes, take them out of their groups" in words(office)
    assert office.act(f"{PAGE}/accept").status_code == 303
    worker.drain()
    assert active(services) == 0
    said = words(office)
    assert "No more email bounces than usual." in said
    assert "because their email bounced: about 10." in said
    assert "because their email bounced: about 10." in office.open("/office").text
    assert "gone1@" not in office.open(PAGE).text
    assert office.act(f"{PAGE}/accept").status_code == 409
    assert office.act(f"{PAGE}/undo", days="2").status_code == 400
    assert "the last 7 days (about 10)" in words(office)
    assert Form(office.open(PAGE).text).fields["days"] == "1", "no more than one chooses"
    with services.writing.begin() as session:
        for member in session.scalars(select(Subscription)):
            member.ended_at = now() - timedelta(days=8)
    assert "because their email bounced" not in office.open("/office").text, "in 7 days"
    assert office.act(f"{PAGE}/undo", days="30").status_code == 303
    assert active(services) == 12
    assert len(trail(services, audit.Kind.BOUNCES_ACCEPTED, audit.Kind.BOUNCES_UNDONE)) == 2
