"""Messages that came in and wait for the office; tests/contact has those that came back."""

from datetime import timedelta

from sqlalchemy import select

from belong_mail.contact.models import Thread
from belong_mail.contact.threads import thread_entries
from belong_mail.core.db import now
from belong_mail.delivery.models import Delivery, State

PAGE = "/office/inbox"
INBOX = "dps-belong@example.org"


def test_who_waits_for_an_answer_is_listed_with_topic_and_age(office, visitor, services):
    assert "No one is waiting for an answer." in office.open(PAGE).text
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    page = office.open(PAGE).text
    assert "Request support. Waiting since" in page
    assert "We need a room" not in page
    assert PAGE in office.open("/office").text
    with services.writing.begin() as session:
        [thread] = session.scalars(select(Thread))
        for entry in thread_entries(session, thread):
            entry.written_at = now() - timedelta(days=3)
        reference = thread.reference
    assert "Request support. Waiting for 3 days, since" in office.open(PAGE).text
    assert "Topic: Request support" in office.open(f"/office/threads/{reference}").text


def test_asking_again_and_again_sends_a_message_again_once_in_ten_minutes(
    office, visitor, services, worker, relay
):
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    worker.drain()
    for _ in range(3):
        with services.writing.begin() as session:
            sent = session.scalars(select(Delivery).where(Delivery.kind == "contact-message")).one()
            sent.state = State.UNCERTAIN
        office.act(f"{PAGE}/resend")
        worker.drain()
    assert len(relay.to(INBOX)) == 2
