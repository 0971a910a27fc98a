"""Whoever breaks into the web, with its keys and the database, learns nothing from the worker."""

import json

from sqlalchemy import select, update

from belong_mail.accounts.models import Account
from belong_mail.contact.models import ContactMessage
from belong_mail.db import now
from belong_mail.mail.message import compose, slot
from belong_mail.newsletters.models import Frozen
from belong_mail.parts import Parts
from belong_mail.sending.models import Delivery
from belong_mail.subscriptions.models import Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import make_member, queue_issue
from tests.people import Visitor
from tests.servers.smtp import Server

INTRUDER = "mallory@example.org"


def test_an_intruder_is_not_introduced_to_the_members(
    parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    seal = parts.sealer.seal
    with parts.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
    with parts.writing.begin() as session:
        forged = seal(INTRUDER.encode(), "accounts.wrapped_address")
        account = Account(address_index=b"forged", wrapped_address=forged)
        session.add(account)
        session.flush()
        for member in session.scalars(select(Subscription)):
            words = json.dumps({"first_name": "", "answers": []}).encode()
            member.wrapped_introduction = seal(words, "subscriptions.wrapped_introduction")
            kind = "introduce-member"
            session.add(Delivery(kind=kind, account_id=account.id, about_id=member.id))
    worker.drain()
    assert relay.accepted == []


def test_an_intruder_does_not_get_the_messages_to_the_office(
    parts: Parts, worker: Worker, relay: Server, visitor: Visitor
) -> None:
    visitor.send("/contact", topic="concern", message="Something very private.")
    worker.drain()
    with parts.writing.begin() as session:
        message = session.scalars(select(ContactMessage)).one()
        forged = parts.sealer.seal(INTRUDER.encode(), "deliveries.sealed_to")
        session.add(Delivery(kind="contact-message", sealed_to=forged, about_id=message.id))
    worker.drain()
    assert {each.recipient for each in relay.accepted} == {"dps-belong@example.org"}


def test_an_intruder_cannot_put_the_readers_address_into_an_issue(
    parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    with parts.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        queue_issue(session)
    worker.engine.work()
    forged = compose(
        [("From", "a@example.org"), ("To", slot("to")), ("Date", slot("date"))],
        f"https://evil.example.org/{slot('to')}",
        "Look.",
        boundary="forged",
    ).to_bytes()
    for wire in (forged, parts.sealer.seal(forged, "frozen_issues.wire")):
        with parts.writing.begin() as session:
            for frozen in session.scalars(select(Frozen)):
                frozen.wire = wire
            session.execute(update(Delivery).values(state="queued", due_at=now()))
        worker.drain()
        assert relay.accepted == []
