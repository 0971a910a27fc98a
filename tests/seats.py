"""Leads in their seats: signed in through the mailed link, as a browser does it."""

from flask import Flask

from belong_mail.accounts import inviting
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import group_named
from tests.people import Visitor, link_to
from tests.servers.smtp import Server


def sign_in(
    app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server, slug: str
) -> Visitor:
    address = f"lead-of-{slug}@dpsk12.org"
    with parts.writing.begin() as session:
        inviting.invite(session, keyring.opener, keyring.index, group_named(session, slug), address)
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=address)
    worker.drain()
    lead.press(link_to(relay.to(address)[-1], "sign-in"))
    return lead
