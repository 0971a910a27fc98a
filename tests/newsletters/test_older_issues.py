"""Issues that an older version froze, and had not sent when it was replaced."""

from sqlalchemy.orm import Session

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.mail.message.mime import compose
from belong_mail.mail.message.template import slot
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN, issue_row
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, link_to
from tests.factories import make_member, queue_issue
from tests.markers import on_sqlite
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
        wrapped = keyring.opener.wrap(wire.to_bytes(), TEMPLATE_COLUMN, issue_row(issue, language))
        session.add(RenderedIssue(newsletter_id=issue.id, language=language, wire=wrapped))


@on_sqlite
def test_an_issue_that_an_older_version_froze_goes_out_and_its_links_work(
    worker: Worker, relay: Server, services: Services, keyring: Keyring, visitor: Visitor
) -> None:
    with services.writing.begin() as session:
        make_member(session, keyring, ADA)
        freeze_as_before(session, keyring, queue_issue(session))
    worker.drain()
    [one] = relay.accepted
    link = link_to(one.message, "leave")
    assert link.endswith("?lang=en")
    assert visitor.follow(link).status_code == 200
    one_click = one.message["List-Unsubscribe"].strip("<>")
    body = {"List-Unsubscribe": "One-Click"}
    assert visitor.client.post(one_click, data=body).status_code == 204
