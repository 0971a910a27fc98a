"""A message to the office that could not be delivered is kept, told of, and sent again."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.delivery.models import Delivery
from belong_mail.ops import rooms
from tests.browser_client import text_of
from tests.db_dump import trail
from tests.inbound.mail import FULL, bounce, hand_back
from tests.markers import OPERATOR, alerted, on_sqlite
from tests.monitoring.looking import figures, wrong_names
from tests.scenario import drain_in
from tests.servers.actions import drop

OFFICE = "dps-belong@example.org"


def write(visitor, services) -> str:
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    with services.reading.begin() as session:
        return str(session.scalars(select(ContactMessage.reference)).one())


def undelivered(services) -> list[str]:
    """List references, states and answers, as the office's page does."""
    with services.reading.begin() as session:
        return [
            f"{message.reference} {each.state} {each.code or ''} {each.phrase or ''}".rstrip()
            if each
            else f"{message.reference} unread"
            for message, each in contact.undelivered(session)
        ]


def resend(services) -> int:
    with services.writing.begin() as session:
        return contact.resend(session)


@alerted
def test_a_message_that_comes_back_from_the_office_is_told_of_and_sent_again_by_one_press(
    office, visitor, services, worker, relay
):
    page = "/office"
    assert "Send them again" not in office.open(page).text
    reference = write(visitor, services)
    worker.drain()
    assert "undelivered" not in wrong_names(services)
    [copy] = relay.accepted
    hand_back(services, copy.return_path, bounce(copy.return_path, OFFICE, FULL))
    worker.drain()
    assert "undelivered" in wrong_names(services)
    assert figures(services)["undelivered"] == "1"
    drain_in(worker, minutes=2)
    [told] = relay.to(OPERATOR)
    assert "were not delivered (now 1)" in text_of(told)
    assert OFFICE not in told.as_string()
    assert "need a room" not in told.as_string()
    assert undelivered(services) == [f"{reference} bounced 552 mailbox full"]
    said = office.open(page).text
    assert "The inbox’s mail server returned it." in said
    assert "To the office." in said
    assert OFFICE not in said.partition("<main")[2].partition("</main>")[0]
    assert office.act("/office/resend").status_code == 303
    worker.drain()
    assert ["need a room" in text_of(mail) for mail in relay.to(OFFICE)] == [True, True]
    assert undelivered(services) == []
    assert "undelivered" not in wrong_names(services)
    assert "Send them again" not in office.open(page).text
    assert len(trail(services, Kind.MESSAGES_RESENT)) == 1


@on_sqlite
def test_a_message_that_the_relay_refuses_is_listed_and_sent_again_too(
    visitor, services, worker, relay
):
    relay.always(f"RCPT {OFFICE}", "550 5.1.1 No such user")
    write(visitor, services)
    worker.drain()
    with time_machine.travel(now() + timedelta(days=60)), services.writing.begin() as session:
        rooms.purge_all(session)
    assert "no such user" in undelivered(services)[0], "kept until somebody has seen to it"
    relay.usual()
    resend(services)
    worker.drain()
    assert len(relay.to(OFFICE)) == 1


@on_sqlite
def test_a_message_that_expired_is_given_days_again_when_it_is_resent(
    visitor, services, worker, relay
):
    relay.always(f"RCPT {OFFICE}", "450 4.2.1 Later")
    write(visitor, services)
    assert worker.read_jobs()
    with services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.created_at -= timedelta(days=5)
        delivery.attempts = 9
    worker.drain()
    assert "expired" in undelivered(services)[0]
    resend(services)
    worker.drain()
    assert undelivered(services) == []
    assert worker.waiting() == {"deferred": 1}
    with services.reading.begin() as session:
        assert session.scalars(select(Delivery.attempts)).one() == 1


@pytest.mark.parametrize("losses", [1, 2])
def test_a_message_whose_answer_was_lost_twice_is_listed_and_deleted_after_a_month(
    visitor, services, worker, relay, losses
):
    """It may have arrived, or not: nobody knows before the operator asks the office."""
    relay.script("DOT", *[drop()] * (2 * losses - 1))
    if losses == 1:
        relay.script("MAIL", "250 OK", "451 4.3.0 Not now")
    reference = write(visitor, services)
    for _ in range(losses):
        worker.drain()
    if losses == 2:
        assert undelivered(services) == [f"{reference} uncertain"]
        assert resend(services) == 1
        worker.drain()
    assert len(undelivered(services)) == losses - 1, "lost once it is tried again"
    for days, kept in ((29, 1), (31, 2 - losses)):
        with time_machine.travel(now() + timedelta(days=days)), services.writing.begin() as session:
            rooms.purge_all(session)
            assert len(session.scalars(select(ContactMessage)).all()) == kept
    assert undelivered(services) == []


@alerted
@pytest.mark.parametrize("loss", ["put aside", "deleted"])
def test_a_message_that_the_worker_does_not_read_is_told_of_and_sent_by_the_office(
    loss, visitor, services, worker, relay
):
    """The web may delete the job, or write one that nobody can read, and not the message."""
    reference = write(visitor, services)
    with services.writing.begin() as session:
        [job] = session.scalars(select(Job))
        job.sealed, job.failures = b"spoiled", MAX_FAILURES
        if loss == "deleted":
            session.delete(job)
    late = timedelta(minutes=16 if loss == "deleted" else 2)
    assert undelivered(services) == ([] if loss == "deleted" else [f"{reference} unread"])
    with time_machine.travel(now() + late):
        worker.drain()
        assert undelivered(services) == [f"{reference} unread"]
        worker.drain()
        subjects = [mail["Subject"] for mail in relay.to(OPERATOR)]
        assert "Messages to the office or to group leaders were not delivered" in subjects
        assert resend(services) == 1
        worker.drain()
        assert undelivered(services) == []
    assert ["need a room" in text_of(mail) for mail in relay.to(OFFICE)] == [True]


@on_sqlite
def test_one_with_a_reference_that_no_form_gave_is_not_sent(services):
    """The web can store it; the worker’s email and its erasures go by references."""
    sealed = services.sealer.seal(b"{}", contact.MESSAGE_COLUMN)
    with services.writing.begin() as session:
        long_ago = now() - timedelta(hours=1)
        for reference in ("LGBTQ+ is here", "K7QM-2XRD"):
            session.add(ContactMessage(reference=reference, sealed=sealed, received_at=long_ago))
    assert resend(services) == 1
