"""What came in and waits for the office: threads, messages that came back, questions."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from belong_mail.contact.models import Thread
from belong_mail.contact.threads import thread_entries
from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.encryption import sealed_for
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Question
from belong_mail.leads import question_approval
from belong_mail.worker.loop import Worker
from tests.bounces.mail import FULL, bounce, hand_back
from tests.browser_client import Form, Visitor, html_of, text_of
from tests.db_dump import kept_of
from tests.factories import group_named
from tests.servers.smtp import Server

PAGE = "/office/inbox"
INBOX = "dps-belong@example.org"
JOIN = "/groups/the-village/join"
SNACK = {"label_en": "Which snack do you like?", "label_es": "¿Qué merienda te gusta?"}
PROPOSE = "/lead/groups/the-village/questions"


def press(office: Visitor, path: str) -> Any:
    token = Form(office.open("/office").text).fields["csrf_token"]
    return office.press(path, csrf_token=token)


def question(services: Services) -> Question:
    with services.reading.begin() as session:
        return session.scalars(select(Question).where(Question.approved_at.is_(None))).one()


def kinds(services: Services) -> list[str]:
    with services.reading.begin() as session:
        return list(session.scalars(select(audit.AuditEntry.kind)))


def test_who_waits_for_an_answer_is_listed_with_topic_and_age(
    office: Visitor, visitor: Visitor, services: Services
) -> None:
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
    for each in (PAGE, "/office/threads"):
        assert "Request support. Waiting for 3 days, since" in office.open(each).text
    assert "Topic: Request support" in office.open(f"/office/threads/{reference}").text


def test_a_question_that_waits_shows_its_age(
    office: Visitor, lead: Visitor, services: Services
) -> None:
    lead.send(PROPOSE, **SNACK)
    assert "Waiting since" in office.open(PAGE).text
    with services.writing.begin() as session:
        waiting = session.scalars(select(Question).where(Question.approved_at.is_(None))).one()
        waiting.proposed_at = now() - timedelta(days=1)
    assert "Waiting for 1 day, since" in office.open(PAGE).text


def test_a_message_that_came_back_is_sent_again_by_one_press(
    office: Visitor, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    assert "Every message was delivered" in office.open(PAGE).text
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    worker.drain()
    [copy] = [each for each in relay.accepted if each.recipient == INBOX]
    hand_back(services, copy.return_path, bounce(copy.return_path, INBOX, FULL))
    worker.drain()
    assert "1 message couldn’t be delivered" in office.open("/office").text
    page = office.open(PAGE).text
    assert "The inbox’s mail server returned it." in page
    assert "To the office." in page
    assert INBOX not in page.partition("<main")[2].partition("</main>")[0]
    assert press(office, f"{PAGE}/resend").status_code == 303
    worker.drain()
    assert ["need a room" in text_of(mail) for mail in relay.to(INBOX)] == [True, True]
    assert "Every message was delivered" in office.open(PAGE).text
    assert audit.Kind.MESSAGES_RESENT in kinds(services)


def test_asking_again_and_again_sends_a_message_again_once_in_ten_minutes(
    office: Visitor, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    worker.drain()
    for _ in range(3):
        with services.writing.begin() as session:
            sent = session.scalars(select(Delivery).where(Delivery.kind == "contact-message")).one()
            sent.state = State.UNCERTAIN
        press(office, f"{PAGE}/resend")
        worker.drain()
    assert len(relay.to(INBOX)) == 2


def test_the_office_is_emailed_that_a_question_waits_in_words_that_name_it_not(
    lead: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    lead.send(PROPOSE, **SNACK)
    lead.send(PROPOSE, label_en="And which drink?")
    worker.drain()
    [told] = relay.to(INBOX)
    assert told["Subject"] == "A question is waiting for your OK"
    for part in (text_of(told), html_of(told)):
        assert "the Village Belong Group" in part or "The Village Belong Group" in part
        assert "/office/inbox?lang=en" in part
        assert "snack" not in part
    assert services


def test_a_question_that_is_gone_when_the_email_leaves_is_not_told_of(
    lead: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    lead.send(PROPOSE, **SNACK)
    with services.writing.begin() as session:
        session.execute(delete(Question).where(Question.approved_at.is_(None)))
    worker.drain()
    assert relay.to(INBOX) == []


def test_a_question_is_asked_after_the_office_approved_it_on_its_page(
    office: Visitor, lead: Visitor, visitor: Visitor, services: Services, worker: Worker
) -> None:
    lead.send(PROPOSE, **SNACK)
    page = office.open(PAGE).text
    assert SNACK["label_en"] in page
    assert SNACK["label_es"] in page
    assert "The Village Belong Group. An answer in their own words" in page
    assert "1 question is waiting for your OK" in office.open("/office").text
    answer = press(office, f"/office/questions/{question(services).id}/approve")
    assert "Approved. The question is on the form in a minute." in office.open(answer.location).text
    assert SNACK["label_en"] not in visitor.open(JOIN).text
    worker.drain()
    assert SNACK["label_en"] in visitor.open(JOIN).text
    assert "No question is waiting for you." in office.open(PAGE).text
    assert audit.Kind.QUESTION_APPROVED in kinds(services)


def test_a_question_is_gone_after_the_office_refused_it(
    office: Visitor, lead: Visitor, services: Services
) -> None:
    lead.send(PROPOSE, **SNACK)
    path = f"/office/questions/{question(services).id}/refuse"
    assert press(office, path).status_code == 303
    assert SNACK["label_en"] not in lead.open(PROPOSE).text
    assert press(office, path).status_code == 404
    assert audit.Kind.QUESTION_REFUSED in kinds(services)


@pytest.mark.parametrize("words", ["What are your pronouns?", "Something else"])
def test_an_approval_that_the_office_did_not_give_puts_nothing_on_a_form_that_may_not_be_there(
    services: Services, worker: Worker, words: str
) -> None:
    """Whoever broke into the web can write any question, and approve it."""
    with services.writing.begin() as session:
        group = group_named(session, "the-village")
        proposed = question_approval.propose_question(session, group, "text", {"en": words}, [])
        question_approval.ask_to_approve(session, services.sealer, proposed.id)
        if words == "Something else":
            proposed.label = {"en": "Where do you live?"}
    worker.drain()
    assert question(services).id == proposed.id


def test_an_approval_of_what_never_was_or_is_no_approval_harms_nothing(
    services: Services, worker: Worker
) -> None:
    with services.writing.begin() as session:
        for said in (b'{"question": 999, "words": []}', b"no json"):
            sealed = services.sealer.seal(said, sealed_for(question_approval.APPROVE))
            session.add(Job(kind=question_approval.APPROVE, sealed=sealed))
    worker.drain()
    with services.reading.begin() as session:
        waits = select(Question.id).where(Question.approved_at.is_(None))
        assert session.scalars(waits).all() == []


@pytest.mark.parametrize("path", [f"{PAGE}/resend", "/office/questions/{}/{}"])
def test_no_lead_and_no_stranger_does_it_for_the_office(
    lead: Visitor, visitor: Visitor, services: Services, path: str
) -> None:
    lead.send(PROPOSE, **SNACK)
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    before = kept_of(services)
    for verb in ("approve", "refuse"):
        url = path.format(question(services).id, verb)
        assert lead.press(url, csrf_token=token).status_code == 404
        assert visitor.press(url).status_code in {400, 403}
    assert lead.open(PAGE).status_code == 404
    assert kept_of(services) == before
