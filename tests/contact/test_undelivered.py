"""A message to the office that could not be delivered is kept, told of, and sent again."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from belong_mail import alerts, retention
from belong_mail.contact.models import ContactMessage
from belong_mail.db import now
from belong_mail.operating import doctor
from belong_mail.operating.figures import exposition, gather
from belong_mail.parts import Parts
from belong_mail.returns import service as returns
from belong_mail.sending.models import Delivery
from belong_mail.worker import Worker
from tests.marks import on_sqlite
from tests.people import Visitor, text_of
from tests.returns.mail import FULL, bounce
from tests.servers.actions import drop
from tests.servers.smtp import Server

OFFICE = "dps-belong@example.org"
OPERATOR = "operator@example.org"
ALARM = pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": OPERATOR}])


def write(visitor: Visitor, parts: Parts) -> str:
    """Write to the office, and return the reference."""
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    with parts.reading.begin() as session:
        return str(session.scalars(select(ContactMessage.reference)).one())


def come_back(parts: Parts, relay: Server) -> None:
    [copy] = relay.accepted
    with parts.writing.begin() as session:
        message = bounce(copy.return_path, OFFICE, FULL)
        returns.take(session, parts.sealer, copy.return_path, message)


def wrong(parts: Parts) -> list[str]:
    with parts.reading.begin() as session:
        figures = gather(session)
    said = [each.words for each in doctor.check_work(figures) if each.is_wrong]
    assert f"belong_undelivered {len(said)}\n" in exposition(figures)
    return said


@ALARM
def test_a_message_that_comes_back_from_the_office_is_told_of_and_sent_again(
    visitor: Visitor, parts: Parts, worker: Worker, relay: Server, cli: Any
) -> None:
    reference = write(visitor, parts)
    worker.drain()
    assert wrong(parts) == []
    come_back(parts, relay)
    worker.drain()
    with parts.writing.begin() as session:
        alerts.watch(session, parts.seal_to_operator)
    worker.drain()
    [told] = relay.to(OPERATOR)
    assert "contact undelivered" in text_of(told)
    assert OFFICE not in told.as_string()
    assert "need a room" not in told.as_string()
    assert ["contact undelivered" in words for words in wrong(parts)] == [True]
    listed = cli.invoke(args=["contact", "undelivered"])
    assert listed.output == f"{reference}\tbounced\t552 5.2.2 mailbox full\n"
    assert listed.exit_code == 1
    assert cli.invoke(args=["contact", "resend"]).output == "1 messages leave again.\n"
    worker.drain()
    assert ["need a room" in text_of(mail) for mail in relay.to(OFFICE)] == [True, True]
    assert cli.invoke(args=["contact", "undelivered"]).exit_code == 0
    assert wrong(parts) == []


@on_sqlite
def test_one_that_the_relay_refuses_is_told_of_too(
    visitor: Visitor, parts: Parts, worker: Worker, relay: Server, cli: Any
) -> None:
    relay.always(f"RCPT {OFFICE}", "550 5.1.1 No such user")
    write(visitor, parts)
    worker.drain()
    assert "no such user" in cli.invoke(args=["contact", "undelivered"]).output
    relay.usual()
    cli.invoke(args=["contact", "resend"])
    worker.drain()
    assert len(relay.to(OFFICE)) == 1


@on_sqlite
def test_one_that_was_tried_for_days_is_given_days_again(
    visitor: Visitor, parts: Parts, worker: Worker, relay: Server, cli: Any
) -> None:
    relay.always(f"RCPT {OFFICE}", "450 4.2.1 Later")
    write(visitor, parts)
    with parts.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.created_at -= timedelta(days=5)
    worker.drain()
    assert "expired" in cli.invoke(args=["contact", "undelivered"]).output
    cli.invoke(args=["contact", "resend"])
    worker.drain()
    assert cli.invoke(args=["contact", "undelivered"]).exit_code == 0
    assert worker.waiting() == {"deferred": 1}


def test_one_whose_answer_was_lost_twice_is_told_of_and_goes_after_a_month(
    visitor: Visitor, parts: Parts, worker: Worker, relay: Server, cli: Any
) -> None:
    """It may have arrived, or not: nobody knows before the operator asks the office."""
    relay.script("DOT", drop(), drop(), drop())
    reference = write(visitor, parts)
    for _ in range(2):
        worker.drain()
    assert cli.invoke(args=["contact", "undelivered"]).output == f"{reference}\tuncertain\t\n"
    assert ["contact undelivered" in words for words in wrong(parts)] == [True]
    assert cli.invoke(args=["contact", "resend"]).output == "1 messages leave again.\n"
    worker.drain()
    assert cli.invoke(args=["contact", "undelivered"]).exit_code == 1
    for days, kept in ((29, 1), (31, 0)):
        with parts.writing.begin() as session:
            retention.purge(session, now() + timedelta(days=days))
            assert len(session.scalars(select(ContactMessage)).all()) == kept
    assert cli.invoke(args=["contact", "undelivered"]).exit_code == 0


@on_sqlite
def test_one_whose_answer_was_lost_once_is_tried_again_and_told_of_by_nobody(
    visitor: Visitor, parts: Parts, worker: Worker, relay: Server, cli: Any
) -> None:
    relay.script("DOT", drop())
    relay.script("MAIL", "250 OK", "451 4.3.0 Not now")
    write(visitor, parts)
    worker.drain()
    assert cli.invoke(args=["contact", "undelivered"]).exit_code == 0
    with parts.writing.begin() as session:
        retention.purge(session, now() + timedelta(days=31))
        assert len(session.scalars(select(ContactMessage)).all()) == 1
