"""A test goes to oneself, to the group's other leaders, or to all, in each language at once."""

from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import select

from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.decryption import Keyring
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, html_of, text_of
from tests.clients import sign_in
from tests.newsletters.writing import write
from tests.servers.smtp import Server

LEAD, SECOND, FOREIGN = (
    f"{name}@dpsk12.org" for name in ("lead-of-the-village", "second", "lead-of-asian")
)
BOTH = {"subject": "Tea", "text": "Come.", "subject_es": "Té", "text_es": "Vengan."}


@dataclass(frozen=True)
class Inboxes:
    """The inboxes that get tests, once the worker has sent everything."""

    worker: Worker
    relay: Server

    def tests_to(self, address: str) -> list[str]:
        self.worker.drain()
        return sorted(str(m["Subject"]) for m in self.relay.to(address) if "]" in m["Subject"])


@pytest.fixture
def inboxes(worker: Worker, relay: Server) -> Inboxes:
    return Inboxes(worker, relay)


@pytest.fixture
def second(app: Flask, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, "the-village", SECOND)


def ask(lead: Visitor, page: str, whom: str) -> str:
    answer = lead.act(f"{page}/test", to=whom)
    assert answer.status_code == 303
    return lead.open(answer.location).text


@pytest.mark.usefixtures("other_lead", "second")
@pytest.mark.parametrize(
    ("whom", "to_lead", "to_second"), [("me", 2, 0), ("others", 0, 2), ("all", 2, 2)]
)
def test_a_test_goes_in_each_language_to_whom_the_leader_chose(
    lead, services, inboxes, whom, to_lead, to_second
):
    page = write(lead, **BOTH)
    shown = lead.open(f"{page}/release").text
    assert "Send it to the other leader" in shown
    assert SECOND not in shown
    assert "test cop" in ask(lead, page, whom).partition("</h1>")[2].partition("<form")[0]
    both = ["[Prueba] Té", "[Test] Tea"]
    assert inboxes.tests_to(LEAD) == both[:to_lead]
    assert inboxes.tests_to(SECOND) == both[:to_second]
    assert inboxes.tests_to(FOREIGN) == []
    for mail in [*inboxes.relay.to(LEAD), *inboxes.relay.to(SECOND)]:
        if str(mail["Subject"]) == "[Prueba] Té":
            assert "Vengan." in text_of(mail)
            assert 'lang="es"' in html_of(mail)
    with services.reading.begin() as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.kind == Kind.TEST_SENT))
        assert (entry.group_slug, page.endswith(str(entry.newsletter))) == ("the-village", True)


@pytest.mark.usefixtures("second")
def test_a_test_in_one_language_comes_once(lead, inboxes):
    ask(lead, write(lead), "all")
    for address in (LEAD, SECOND):
        assert inboxes.tests_to(address) == ["[Test] Tea on Friday"]


def test_nobody_fills_a_colleagues_inbox_with_tests(lead, second, inboxes):
    page = write(lead)
    for _ in range(6):
        assert "emailing the test copies" in ask(lead, page, "others")
    assert "Try again in an hour." in ask(lead, page, "others")
    assert "Try again in an hour." in ask(second, page, "all")
    assert len(inboxes.tests_to(SECOND)) == 6
    for _ in range(14):
        assert "We’re emailing you a test copy." in ask(lead, page, "me")
    assert "Try again in an hour." in ask(lead, page, "me")


def test_a_leader_alone_is_offered_no_colleagues(lead):
    assert "other leader" not in lead.open(f"{write(lead)}/release").text
