"""A message to the office that could not be delivered is kept, told of, and sent again."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import delete, select, update

from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.delivery.models import Delivery
from tests.browser_client import text_of
from tests.db_dump import trail
from tests.inbound.mail import FULL, bounce, hand_back
from tests.markers import OPERATOR, alerted, on_sqlite
from tests.monitoring.looking import figures, wrong_names
from tests.scenario import drain_in
from tests.servers.actions import drop

OFFICE = "dps-belong@example.org"
IN_YEARS = timedelta(days=9000)


def write(scenario) -> str:
    scenario.visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    with scenario.services.reading.begin() as session:
        return str(session.scalars(select(ContactMessage.reference)).one())


def undelivered(scenario) -> list[str]:
    """List references, states and answers, as the office's page does."""
    with scenario.services.reading.begin() as session:
        return [
            f"{message.reference} {each.state} {each.code or ''} {each.phrase or ''}".rstrip()
            if each
            else f"{message.reference} unread"
            for message, each in contact.undelivered(session)
        ]


def resend(scenario) -> int:
    return scenario.do(contact.resend)


@alerted
def test_a_message_that_comes_back_from_the_office_is_told_of_and_sent_again_by_one_press(
    office, scenario
):
    page = "/office"
    assert "Send them again" not in office.open(page).text
    reference = write(scenario)
    scenario.worker.drain()
    assert "undelivered" not in wrong_names(scenario.services)
    [copy] = scenario.relay.accepted
    hand_back(scenario.services, copy.return_path, bounce(copy.return_path, OFFICE, FULL))
    scenario.worker.drain()
    assert "undelivered" in wrong_names(scenario.services)
    assert figures(scenario.services)["undelivered"] == "1"
    drain_in(scenario.worker, minutes=2)
    [told] = scenario.relay.to(OPERATOR)
    assert "were not delivered (now 1)" in text_of(told)
    assert OFFICE not in told.as_string()
    assert "need a room" not in told.as_string()
    assert undelivered(scenario) == [f"{reference} bounced 552 mailbox full"]
    scenario.execute(delete(Thread))  # of the message, which waits as well
    said = office.open(page).text
    assert "The inbox’s mail server returned it." in said
    assert "To the office." in said
    assert "Nothing is waiting" not in said
    assert OFFICE not in said.partition("<main")[2].partition("</main>")[0]
    assert office.choose(said, "Send them again").status_code == 303
    assert ["need a room" in text_of(mail) for mail in scenario.mails(OFFICE)] == [True, True]
    assert undelivered(scenario) == []
    assert "undelivered" not in wrong_names(scenario.services)
    assert "Send them again" not in office.open(page).text
    assert len(trail(scenario.services, Kind.MESSAGES_RESENT)) == 1


@on_sqlite
def test_a_message_that_the_relay_refuses_is_listed_and_sent_again_too(scenario):
    scenario.relay.always(f"RCPT {OFFICE}", "550 5.1.1 No such user")
    write(scenario)
    scenario.worker.drain()
    scenario.purge(timedelta(days=60))
    assert "no such user" in undelivered(scenario)[0], "kept until somebody has seen to it"
    scenario.relay.usual()
    resend(scenario)
    assert len(scenario.mails(OFFICE)) == 1


@on_sqlite
def test_a_message_that_expired_is_given_days_again_when_it_is_resent(scenario):
    scenario.relay.always(f"RCPT {OFFICE}", "450 4.2.1 Later")
    write(scenario)
    assert scenario.worker.read_jobs()
    with scenario.services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.created_at -= timedelta(days=5)
        delivery.attempts = 9
    scenario.worker.drain()
    assert "expired" in undelivered(scenario)[0]
    resend(scenario)
    scenario.worker.drain()
    assert undelivered(scenario) == []
    assert scenario.worker.waiting() == {"deferred": 1}
    assert scenario.query(select(Delivery.attempts)) == [1]


@pytest.mark.parametrize("losses", [1, 2])
def test_a_message_whose_answer_was_lost_twice_is_listed_and_deleted_after_a_month(
    scenario, losses
):
    """It may have arrived, or not: nobody knows before the operator asks the office."""
    scenario.relay.script("DOT", *[drop()] * (2 * losses - 1))
    if losses == 1:
        scenario.relay.script("MAIL", "250 OK", "451 4.3.0 Not now")
    reference = write(scenario)
    for _ in range(losses):
        scenario.worker.drain()
    if losses == 2:
        assert undelivered(scenario) == [f"{reference} uncertain"]
        assert resend(scenario) == 1
        scenario.worker.drain()
    assert len(undelivered(scenario)) == losses - 1, "lost once it is tried again"
    for days, kept in ((29, 1), (31, 2 - losses)):
        scenario.purge(timedelta(days=days))
        assert scenario.rows("contact_messages") == kept
    assert undelivered(scenario) == []


@alerted
@pytest.mark.parametrize("loss", ["put aside", "deleted", "dated ahead"])
def test_a_message_that_the_worker_does_not_read_is_told_of_and_sent_by_the_office(loss, scenario):
    """The web may delete the job, or write one that nobody can read, and not the message."""
    reference = write(scenario)
    with scenario.services.writing.begin() as session:
        [job] = session.scalars(select(Job))
        job.sealed, job.failures = b"spoiled", MAX_FAILURES
        if loss != "put aside":
            session.delete(job)
        if loss == "dated ahead":
            session.execute(update(ContactMessage).values(received_at=now() + IN_YEARS))
    late = timedelta(minutes=16 if loss == "deleted" else 2)
    assert undelivered(scenario) == ([] if loss == "deleted" else [f"{reference} unread"])
    with time_machine.travel(now() + late):
        scenario.worker.drain()
        assert undelivered(scenario) == [f"{reference} unread"]
        subjects = [mail["Subject"] for mail in scenario.mails(OPERATOR)]
        assert "Messages to the office or to group leaders were not delivered" in subjects
        assert resend(scenario) == 1
        scenario.worker.drain()
        assert undelivered(scenario) == []
    assert ["need a room" in text_of(mail) for mail in scenario.relay.to(OFFICE)] == [True]


@on_sqlite
def test_one_with_a_reference_that_no_form_gave_is_not_sent(scenario):
    """The web can store it; the worker’s email and its erasures go by references."""
    sealed = scenario.services.sealer.seal(b"{}", contact.MESSAGE_COLUMN)
    with scenario.services.writing.begin() as session:
        long_ago = now() - timedelta(hours=1)
        for reference in ("LGBTQ+ is here", "K7QM-2XRD"):
            session.add(ContactMessage(reference=reference, sealed=sealed, received_at=long_ago))
    assert resend(scenario) == 1
