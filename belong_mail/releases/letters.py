"""Copies of an issue that are no member's: the lead's test and the office's copy; and the held."""

from sqlalchemy.orm import Session

from belong_mail.accounts import inviting
from belong_mail.accounts.models import Account
from belong_mail.mail.message import Envelope, date_header, mailbox
from belong_mail.newsletters import letters as issues
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.placeholders import first_name
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.tokens import Purpose

NOBODY = "nobody"
"""In place of a member's public id: such a link opens the page about links that do not work."""


def test(session: Session, desk: Desk, delivery: Delivery) -> Envelope:
    """Write the issue as it is now to the lead who asked for a test."""
    lead = _lead(session, delivery)
    newsletter = _issue(session, delivery)
    to = inviting.address_of(desk.opener, lead)
    return _copy(desk, delivery, newsletter, to, lead.language, "[Test] ")


def copy(session: Session, desk: Desk, delivery: Delivery) -> Envelope:
    """Write the office its copy of a released issue."""
    newsletter = _issue(session, delivery)
    to = desk.opener.open(delivery.sealed_to or b"", "deliveries.sealed_to").decode()
    return _copy(desk, delivery, newsletter, to, "en", "")


def held(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Ask a lead what is to become of an issue whose time passed while we were down."""
    lead = _lead(session, delivery)
    newsletter = _issue(session, delivery)
    url = desk.links.page("releases.sending", lead.language, public_id=newsletter.public_id)
    return Letter(
        to=inviting.address_of(desk.opener, lead),
        language=lead.language,
        context={"group": newsletter.group, "issue_url": url},
    )


def _copy(
    desk: Desk, delivery: Delivery, newsletter: Newsletter, to: str, language: str, prefix: str
) -> Envelope:
    at = delivery.created_at
    signer = desk.links.signer
    wire = issues.build(desk, newsletter, language, prefix=prefix)
    values = {
        "to": mailbox("", to),
        "date": date_header(at),
        "message_id": desk.names.message_id(delivery.id),
        "one_click": signer(Purpose.ONE_CLICK, at)(NOBODY),
        "leave": signer(Purpose.LEAVE, at)(NOBODY),
        "first_name": first_name("", language),
    }
    message = wire.fill({name: values[name] for name in wire.slots})
    return Envelope(desk.names.return_path(delivery.id), to, message)


def _lead(session: Session, delivery: Delivery) -> Account:
    lead = session.get(Account, delivery.account_id)
    if lead is None:
        raise NotSent(State.WITHDRAWN)
    return lead


def _issue(session: Session, delivery: Delivery) -> Newsletter:
    newsletter = session.get(Newsletter, delivery.about_id)
    if newsletter is None:
        raise NotSent(State.WITHDRAWN)
    return newsletter
