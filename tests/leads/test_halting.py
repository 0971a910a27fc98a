"""Pausing, going on and stopping act at once, and nobody gets an issue twice."""

import threading
import time
from collections import Counter

from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from belong_mail.releases import service as releases
from belong_mail.sending.models import State
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.factories import make_members, queue_issue
from tests.people import Form, Visitor
from tests.servers.smtp import Server

MEMBERS = 250


def start_issue(parts: Parts, keyring: Keyring) -> Newsletter:
    with parts.writing.begin() as session:
        make_members(session, keyring, MEMBERS)
        return queue_issue(session)


def counts(parts: Parts, issue: Newsletter) -> dict[str, int]:
    with parts.reading.begin() as session:
        found = newsletters.report(session, session.get_one(Newsletter, issue.id))
    assert found["recipients"] == sum(found[state] for state in State)
    return found


def press(lead: Visitor, issue: Newsletter, verb: str) -> int:
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    page = f"/lead/newsletters/{issue.public_id}/{verb}"
    return lead.press(page, csrf_token=token).status_code


def wait_until_sent(relay: Server, number: int) -> None:
    deadline = time.monotonic() + 30
    while len(relay.accepted) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_pause_in_the_middle_acts_at_once_and_going_on_sends_the_rest(
    lead: Visitor, parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    issue = start_issue(parts, keyring)
    already = len(relay.accepted)
    running = threading.Thread(target=worker.drain)
    running.start()
    wait_until_sent(relay, already + 20)
    assert press(lead, issue, "pause") == 303
    at_pause = len(relay.accepted)
    running.join(30)
    assert len(relay.accepted) <= at_pause + 1
    assert "Paused" in lead.open(f"/lead/newsletters/{issue.public_id}/sending").text
    assert counts(parts, issue)[State.ACCEPTED] < MEMBERS

    assert press(lead, issue, "resume") == 303
    time.sleep(2.1)
    worker.drain()
    assert counts(parts, issue)[State.ACCEPTED] == MEMBERS
    recipients = Counter(each.recipient for each in relay.accepted[already:])
    assert set(recipients.values()) == {1}


def test_a_stopped_issue_withdraws_the_rest_for_good(
    lead: Visitor, parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    issue = start_issue(parts, keyring)
    already = len(relay.accepted)
    running = threading.Thread(target=worker.drain)
    running.start()
    wait_until_sent(relay, already + 20)
    assert "Stop for good?" in lead.open(f"/lead/newsletters/{issue.public_id}/stop").text
    assert press(lead, issue, "stop") == 303
    at_stop = len(relay.accepted)
    running.join(30)
    time.sleep(2.1)
    worker.drain()
    assert len(relay.accepted) <= at_stop + 1
    found = counts(parts, issue)
    assert found[State.ACCEPTED] + found[State.WITHDRAWN] == MEMBERS
    assert found[State.WITHDRAWN] > 0
    assert press(lead, issue, "resume") == 409
    with parts.reading.begin() as session:
        standing = releases.standing(session, session.get_one(Newsletter, issue.id))
    assert standing.state == "stopped"
