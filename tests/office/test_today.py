"""Today: messages that wait for the office; tests/contact has those that came back."""

from datetime import UTC, datetime

from sqlalchemy import select

from belong_mail.contact.models import Thread
from belong_mail.contact.threads import thread_entries
from belong_mail.delivery.models import Delivery, State

PAGE = "/office"
INBOX = "dps-belong@example.org"


def test_a_thread_that_waits_for_an_answer_is_listed_with_topic_and_age(office, visitor, services):
    assert "Nothing is waiting for you." in office.open(PAGE).text
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    page = office.open(PAGE).text
    assert "Request support" in page
    assert "Groups I lead" not in page, "someone who leads none"
    assert "We need a room" not in page
    with services.writing.begin() as session:
        [thread] = session.scalars(select(Thread))
        for entry in thread_entries(session, thread):
            entry.written_at = datetime(2025, 3, 3, 23, 5, tzinfo=UTC)
        reference = thread.reference
    assert "Since March 3, 2025, 4:05 PM" in office.open(PAGE).text
    thread_page = office.open(f"/office/threads/{reference}").text
    assert "Waiting since March 3, 2025, 4:05 PM" in thread_page


def test_asking_again_and_again_sends_a_message_again_once_in_ten_minutes(
    office, visitor, services, worker, relay
):
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    worker.drain()
    for _ in range(3):
        with services.writing.begin() as session:
            sent = session.scalars(select(Delivery).where(Delivery.kind == "contact-message")).one()
            sent.state = State.UNCERTAIN
        office.act("/office/resend")
        worker.drain()
    assert len(relay.to(INBOX)) == 2
