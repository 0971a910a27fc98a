"""Leads in their seats: signed in through the mailed link, as a browser does it."""

from flask import Flask

from belong_mail.accounts import invitations
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, link_to
from tests.factories import group_named
from tests.servers.smtp import Server


def sign_in(
    app: Flask,
    services: Services,
    keyring: Keyring,
    worker: Worker,
    relay: Server,
    slug: str,
    address: str = "",
) -> Visitor:
    address = address or f"lead-of-{slug}@dpsk12.org"
    with services.writing.begin() as session:
        invitations.invite(
            session, keyring.opener, keyring.index, group_named(session, slug), address
        )
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=address)
    worker.drain()
    lead.press(link_to(relay.to(address)[-1], "sign-in"))
    return lead


def sign_in_office(
    app: Flask,
    services: Services,
    keyring: Keyring,
    worker: Worker,
    relay: Server,
    address: str = "office@dpsk12.org",
) -> Visitor:
    """Return a browser in which somebody is signed in who works for the office and leads none."""
    with services.writing.begin() as session:
        invitations.invite_office(session, keyring.opener, keyring.index, address)
    office = Visitor(app.test_client())
    office.send("/sign-in", email=address)
    worker.drain()
    office.press(link_to(relay.to(address)[-1], "sign-in"))
    return office
