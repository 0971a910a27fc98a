"""An intruder in the web, with its keys and the database, learns nothing from the worker."""

import json

from sqlalchemy import select, text, update

from belong_mail.accounts.models import Account, Right
from belong_mail.core.db import new_public_id, now
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.delivery.models import Delivery
from belong_mail.groups import mailbox
from belong_mail.leads import mailbox as shared_mailbox
from belong_mail.leads.mailbox import MailboxChange
from belong_mail.mail.message.mime import compose
from belong_mail.mail.message.template import slot
from belong_mail.newsletters.models import RenderedIssue
from belong_mail.worker.loop import Worker
from tests.browser_client import link_to
from tests.clients import sign_in
from tests.counting import statements_of
from tests.database import do, execute, query
from tests.factories import change_group, group_named, make_member, make_members, queue_issue
from tests.markers import on_both, periodic_tasks

pytestmark = [periodic_tasks, on_both("rights of the web's role")]

INTRUDER = "mallory@example.org"
# They may work for the district: it asks no other address anything.
OF_STAFF = "mallory@dpsk12.org"


def test_an_intruder_cannot_put_the_readers_address_into_an_issue(services, keyring, worker, relay):
    do(services, make_member, keyring, "ada@dpsk12.org")
    do(services, queue_issue)
    worker.drain()
    assert len(relay.accepted) == 1
    forged = compose(
        [("From", "a@example.org"), ("To", slot("to")), ("Date", slot("date"))],
        f"https://evil.example.org/{slot('to')}",
        "Look.",
        boundary="forged",
    ).to_bytes()
    for wire in (forged, services.sealer.seal(forged, "rendered_issues.wire")):
        with services.writing.begin() as session:
            for frozen in session.scalars(select(RenderedIssue)):
                frozen.wire = wire
            session.execute(update(Delivery).values(state="queued", due_at=now()))
        next_worker = Worker(services, keyring)
        next_worker.drain()
        next_worker.engine.close()
        assert len(relay.accepted) == 1
        assert query(services, select(Delivery.state)) == ["failed"]


def test_languages_that_nobody_speaks_load_no_message_of_their_own(
    services, keyring, worker, relay
):
    """Each would be megabytes, and the worker would run out of memory."""
    do(services, make_members, keyring, 20)
    odd = "UPDATE subscriptions SET language = 'l' || id"
    execute(services, text(odd))
    do(services, queue_issue)
    with statements_of(services.engine) as seen:
        worker.drain()
    assert len(relay.accepted) == 20
    assert sum("FROM rendered_issues" in each for each in seen) <= len(LANGUAGES)


def test_an_intruder_does_not_get_replies_and_messages_by_sealing_a_mailbox(
    services, keyring, worker, relay, visitor
):
    """Anybody with the public key can seal; what the worker wrapped for another row is refused."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        other = group_named(session, "asian")
        mailbox.wrap_mailbox(keyring.opener, other, INTRUDER)
        stolen = other.wrapped_mailbox
    forged = services.sealer.seal(INTRUDER.encode(), "groups.wrapped_mailbox")
    for bytes_ in (forged, stolen, b"", b"\x02 not wrapped " + bytes(60)):
        do(services, change_group, "the-village", wrapped_mailbox=bytes_)
        do(services, queue_issue)
        visitor.send("/contact", to="the-village", topic="concern", message="Very private.")
        worker.drain()
    assert {each.recipient for each in relay.accepted} == {
        "dps-belong@example.org",
        "ada@dpsk12.org",
    }
    replies = {mail["Reply-To"] for mail in relay.to("ada@dpsk12.org")}
    assert replies == {"dps-belong@example.org"}


def test_an_intruder_does_not_get_them_by_confirming_a_mailbox_of_their_own(
    app, services, keyring, worker, relay
):
    """They may ask in a lead’s name, forge links and rows; the lead’s own mail is out of reach."""
    visitor = sign_in(app, keyring, "the-village")
    with services.writing.begin() as session:
        group = group_named(session, "the-village")
        [row] = session.scalars(select(Right).where(Right.group_id == group.id))
        lead = session.get_one(Account, row.account_id)
        shared_mailbox.propose_mailbox(session, services.sealer, group, lead, OF_STAFF, "en")
    worker.drain()
    visitor.press(link_to(relay.to(OF_STAFF)[-1], "confirm-mailbox"))
    with services.writing.begin() as session:
        proposal = session.scalars(select(MailboxChange)).one()
        for secret in ("", "guessed", new_public_id()):
            named = f"{proposal.public_id}.{secret}"
            shared_mailbox.confirm_mailbox(session, services.sealer, named)
    worker.drain()
    content = {"group": "x", "lead": "x", "address": OF_STAFF, "awaited": []}
    with services.writing.begin() as session:
        proposal = session.scalars(select(MailboxChange)).one()
        place = "mailbox_changes.wrapped"
        proposal.wrapped = services.sealer.seal(json.dumps(content).encode(), place)
        shared_mailbox.confirm_mailbox(session, services.sealer, f"{proposal.public_id}.x")
    worker.drain()
    with services.reading.begin() as session:
        assert mailbox.mailbox_of(keyring.opener, group_named(session, "the-village")) == ""
