"""Writing to a group's leads, and the word that a message has arrived."""

import json
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import PLACE
from belong_mail.db import now
from belong_mail.groups import mailboxes
from belong_mail.groups import service as groups
from belong_mail.opening import BlindIndex
from belong_mail.outbox import suppressions
from belong_mail.parts import Parts
from belong_mail.sending.models import Delivery
from belong_mail.shared_mailbox import service as shared_mailbox
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.factories import group_named
from tests.people import Visitor, html_of, text_of
from tests.servers.smtp import Server

INBOX = "dps-belong@example.org"
SHARED = "village-leads@dpsk12.org"
VILLAGE = "the-village"
ADA = "ada@dpsk12.org"
WORDS = "We need an interpreter on Tuesday."


@pytest.fixture(autouse=True)
def shared(parts: Parts, keyring: Keyring) -> str:
    with parts.writing.begin() as session:
        mailboxes.keep(keyring.opener, group_named(session, VILLAGE), SHARED)
    return SHARED


def write(visitor: Visitor, to: str = "", **typed: str) -> str:
    """Write a message and return the page that thanks for it."""
    answer = visitor.send("/contact", to=to, topic="need", message=WORDS, **typed)
    if not to and not typed.get("email"):
        assert answer.status_code == 200
        return answer.text
    assert answer.status_code == 303
    return visitor.open(answer.location).text


def recipients(worker: Worker, relay: Server) -> list[str]:
    worker.drain()
    return sorted(each.recipient for each in relay.accepted)


def states(parts: Parts, kind: str) -> list[str]:
    with parts.reading.begin() as session:
        found = select(Delivery.state).where(Delivery.kind == kind).order_by(Delivery.id)
        return list(session.scalars(found))


def test_the_office_and_the_open_groups_with_a_mailbox_can_be_chosen(
    visitor: Visitor, parts: Parts
) -> None:
    page = visitor.open("/contact").text
    assert "The Belong office</option>" in page
    assert "The leads of The Village</option>" in page
    assert "The leads of Asian" not in page
    with parts.writing.begin() as session:
        groups.retire(session, group_named(session, VILLAGE))
    assert "The leads of" not in visitor.open("/contact").text


def test_a_message_to_leads_goes_to_their_mailbox_alone_and_every_page_says_so(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    page = write(visitor, VILLAGE, email="ada@example.org")
    assert "goes on to the mailbox that the leads of The Village share" in page
    assert "mailbox of the Belong office" not in page
    assert recipients(worker, relay) == [SHARED]
    [mail] = relay.to(SHARED)
    assert mail["Reply-To"] == "ada@example.org"
    assert "Village" not in mail["Subject"]
    for part in (text_of(mail), html_of(mail)):
        assert "A message for the leads of The Village" in part
        assert WORDS in part
        assert "no shared mailbox" not in part
    assert "village-leads" not in repr(dump_of(parts))


def test_a_message_to_the_office_goes_to_the_office(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    assert "mailbox of the Belong office" in write(visitor)
    assert recipients(worker, relay) == [INBOX]
    assert "leads of" not in text_of(relay.to(INBOX)[0])


def test_leads_who_lost_their_mailbox_lose_no_message(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    write(visitor, VILLAGE)
    with parts.writing.begin() as session:
        shared_mailbox.remove(session, group_named(session, VILLAGE))
    assert recipients(worker, relay) == [INBOX]
    assert "no shared mailbox any more" in text_of(relay.to(INBOX)[0])


@pytest.mark.parametrize("to", ["asian", "nowhere", "The-Village", "x" * 5000, "'; --", "\x00"])
def test_who_cannot_be_written_to_is_refused_and_no_word_is_lost(
    visitor: Visitor, parts: Parts, to: str
) -> None:
    answer = visitor.send("/contact", to=to, topic="need", message=WORDS)
    assert answer.status_code == 422
    assert "These leads cannot be written to from here." in answer.text
    assert WORDS in answer.text
    assert dump_of(parts)["contact_messages"] == []


def test_whoever_changes_rows_does_not_turn_the_offices_messages_to_leads(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    write(visitor)
    with parts.writing.begin() as session:
        message = session.scalars(select(ContactMessage)).one()
        message.group_id = group_named(session, VILLAGE).id
        forged = parts.sealer.seal(b"mallory@example.org", "deliveries.sealed_to")
        session.add(Delivery(kind="contact-message", sealed_to=forged, about_id=message.id))
    assert recipients(worker, relay) == [INBOX, INBOX]


def test_a_message_from_before_there_was_a_choice_goes_to_the_office(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    write(visitor, VILLAGE)
    old = json.dumps({"topic": "need", "message": WORDS, "name": "", "address": ""}).encode()
    with parts.writing.begin() as session:
        session.scalars(select(ContactMessage)).one().sealed = parts.sealer.seal(old, PLACE)
    assert recipients(worker, relay) == [INBOX]


def test_a_writer_of_the_staff_is_told_without_a_word_of_the_message(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    write(visitor, VILLAGE, email=ADA, name="Ada Lovelace")
    assert recipients(worker, relay) == [ADA, SHARED]
    [mail] = relay.to(ADA)
    with parts.reading.begin() as session:
        reference = session.scalars(select(ContactMessage.reference)).one()
    assert reference in mail["Subject"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None
    for part in (text_of(mail), html_of(mail), mail.as_string()):
        for word in ("interpreter", "Lovelace", "Village"):
            assert word not in part
    for words in (reference, "within three working days", "not repeated", "911"):
        assert words in text_of(mail)


@pytest.mark.parametrize("address", ["", "ada@example.org", "ada@dpsk12.org.example.org"])
def test_nobody_else_is_told(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, address: str
) -> None:
    write(visitor, email=address)
    assert recipients(worker, relay) == [INBOX]
    assert states(parts, "contact-received") == []


@pytest.mark.parametrize("settings", [{"BELONG_REFUSED_LOCAL_PARTS": "[0-9]+"}])
def test_a_student_is_not_told(visitor: Visitor, worker: Worker, relay: Server) -> None:
    write(visitor, email="123456@dpsk12.org")
    assert recipients(worker, relay) == [INBOX]


def test_an_address_is_told_once_a_day_and_again_the_next(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    for typed in (ADA, "ADA@dpsk12.org", ADA):
        write(visitor, email=typed)
    assert recipients(worker, relay) == [ADA, INBOX, INBOX, INBOX]
    assert sorted(states(parts, "contact-received")) == ["accepted", "withdrawn", "withdrawn"]
    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        write(visitor, email=ADA)
        worker.drain()
    assert len(relay.to(ADA)) == 2


def test_a_word_that_was_put_off_still_comes(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    relay.script(f"RCPT {ADA}", "451 4.7.1 greylisted, try again")
    write(visitor, email=ADA)
    assert recipients(worker, relay) == [INBOX]
    with time_machine.travel(now() + timedelta(minutes=30), tick=True):
        worker.drain()
    assert len(relay.to(ADA)) == 1


def test_who_wants_to_be_left_alone_is(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    index: BlindIndex = keyring.index
    with parts.writing.begin() as session:
        suppressions.add(session, index, ADA, "asked")
    write(visitor, email=ADA)
    assert recipients(worker, relay) == [INBOX]
    assert states(parts, "contact-received") == ["withdrawn"]


def test_a_forged_row_sends_fixed_words_alone(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    write(visitor, name="Ada Lovelace")
    seal = parts.sealer.seal
    with parts.writing.begin() as session:
        message = session.scalars(select(ContactMessage)).one()
        session.add(
            Delivery(
                kind="contact-received",
                sealed_to=seal(ADA.encode(), "deliveries.sealed_to"),
                sealed_arguments=seal(b"<b>Buy now</b>", "deliveries.sealed_arguments"),
                about_id=message.id,
            )
        )
    worker.drain()
    [mail] = relay.to(ADA)
    for word in ("Buy now", "interpreter", "Lovelace"):
        assert word not in text_of(mail) + html_of(mail)


def test_the_word_comes_in_the_language_of_the_page(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    visitor.send("/contact?lang=es", topic="need", message="Hola", email=ADA)
    worker.drain()
    [mail] = relay.to(ADA)
    assert "tres días hábiles" in text_of(mail)
    assert "within three working days" not in html_of(mail)
