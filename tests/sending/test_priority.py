"""What one person waits for overtakes an issue; who holds others up is tried after them."""

import threading

from belong_mail.outbox import service as outbox
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import make_member
from tests.marks import on_sqlite
from tests.processes import SECONDS
from tests.sending.factories import books, deliveries, queue
from tests.servers.smtp import Server

MEMBERS = 1000


def test_a_letter_to_one_overtakes_an_issue_that_is_on_its_way(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, MEMBERS)
    relay.delay = 0.02
    relay.on("RCPT new@dpsk12.org", lambda _: setattr(relay, "delay", 0.0))
    running = threading.Thread(target=worker.drain)
    running.start()
    relay.wait_for(100, SECONDS)
    with parts.writing.begin() as session:
        member = make_member(session, keyring, "new@dpsk12.org")
        outbox.post(session, "welcome-member", subscription_id=member.id)
    running.join(SECONDS)
    order = [one.recipient for one in relay.accepted]
    assert order.index("new@dpsk12.org") < MEMBERS * 3 // 4
    assert books(parts, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@on_sqlite
def test_who_gets_an_answer_about_us_is_tried_after_the_others(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    queue(parts, keyring, 3)
    relay.script("RCPT member0@dpsk12.org", "421 4.3.0 Try again later")
    worker.drain()
    first, *others = [one.due_at for one in deliveries(parts)]
    assert first is not None
    assert all(other is not None and other < first for other in others)
