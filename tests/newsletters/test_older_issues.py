"""Issues that an older version froze, and had not sent when it was replaced."""

from sqlalchemy.orm import Session

from belong_mail.mail.message import compose, slot
from belong_mail.newsletters.letters import WIRE
from belong_mail.newsletters.models import Frozen, Newsletter
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import make_member, queue_issue
from tests.marks import on_sqlite
from tests.people import Visitor, link_to
from tests.servers.smtp import Server

ADA = "ada@dpsk12.org"


def freeze_as_before(session: Session, keyring: Keyring, issue: Newsletter) -> None:
    """Keep the bytes of an issue with slots for whole links, not only for their tokens."""
    headers = [
        ("From", "belong@example.org"),
        ("To", slot("to")),
        ("Date", slot("date")),
        ("Message-ID", slot("message_id")),
        ("List-Unsubscribe", f"<{slot('one_click_url')}>"),
    ]
    link = slot("leave_url")
    wire = compose(headers, f"Leave: {link}\n", f'<a href="{link}">Leave</a>\n', boundary="before")
    for language in ("en", "es"):
        where = f"{issue.public_id}/{language}"
        wrapped = keyring.opener.wrap(wire.to_bytes(), WIRE, where)
        session.add(Frozen(newsletter_id=issue.id, language=language, wire=wrapped))


@on_sqlite
def test_an_issue_that_an_older_version_froze_goes_out_and_its_links_work(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, visitor: Visitor
) -> None:
    with parts.writing.begin() as session:
        make_member(session, keyring, ADA)
        freeze_as_before(session, keyring, queue_issue(session))
    worker.drain()
    [one] = relay.accepted
    link = link_to(one.message, "leave")
    assert link.endswith("?lang=en")
    assert visitor.press(link).status_code == 200
    one_click = one.message["List-Unsubscribe"].strip("<>")
    body = {"List-Unsubscribe": "One-Click"}
    assert visitor.client.post(one_click, data=body).status_code == 204
