"""Single mails in raw bytes: automatic, quiet, without what a stranger typed."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from belong_mail.worker.registry import compose_deliveries
from tests.browser_client import html_of, link_to, text_of
from tests.markers import on_sqlite
from tests.remote_content import remote_content
from tests.scenario import ADA, VILLAGE
from tests.servers.smtp import drop
from tests.smtp_raw import check_form

NAMES = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress",
    "MIME-Version", "Content-Type",
]  # fmt: skip
BAIT = "Win $$ and 7*7 %(more)s $now"


def last(scenario):
    scenario.worker.drain()
    assert scenario.relay.faults == []
    return scenario.relay.accepted[-1]


def check_letter(one) -> None:
    """Check the headers of an automatic mail, which say nothing about any group."""
    headers = check_form(one.data)
    assert list(headers) == NAMES
    assert headers["From"] == '"DPS Belong" <belong@example.org>'
    assert headers["To"] == one.recipient
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"
    assert re.fullmatch(r"<b\.[0-9a-f]{32}@example\.org>", headers["Message-ID"])
    assert re.fullmatch(r"b\+[0-9a-f]{32}@example\.org", one.return_path)
    quiet = " ".join(value for name, value in headers.items() if name != "To")
    assert "village" not in quiet.lower()
    assert "ada@" not in quiet.lower()
    assert remote_content(html_of(one.message)) == []


@on_sqlite
def test_the_confirmation_holds_nothing_that_was_typed(scenario):
    """The welcome and the answer to someone who is in already are quiet, too."""
    asked = scenario.ask(first_name=BAIT)
    one = last(scenario)
    check_letter(one)
    for part in (one.data.decode(), text_of(one.message), html_of(one.message)):
        assert "Win $" not in part
        assert "7*7" not in part
    assert "The Village" in text_of(one.message)
    scenario.visitor.follow(link_to(asked, "confirm"))
    check_letter(last(scenario))
    scenario.ask()
    check_letter(last(scenario))


def test_a_letter_written_again_is_the_same_letter(scenario):
    """Its answer was lost: the second copy has the first one's Date, Message-ID and links."""
    scenario.relay.script("DOT", drop())
    assert scenario.visitor.join(VILLAGE, ADA).status_code == 303
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        scenario.worker.drain()
        clock.shift(timedelta(minutes=30))
        scenario.worker.drain()
    first, second = scenario.relay.accepted
    assert first.data == second.data
    assert first.return_path == second.return_path


@on_sqlite
def test_an_email_is_rendered_after_the_transaction_that_claims_it(scenario):
    """It takes some milliseconds, and on SQLite each form would wait for them."""
    worker, services = scenario.worker, scenario.services
    scenario.visitor.join("asian", ADA)
    worker.read_jobs()
    with services.writing.begin() as session:
        ids = list(session.scalars(select(Delivery.id)))
        [(_, compose)] = compose_deliveries(worker._mailer, worker._issue_mailer, session, ids)
    worker._mailer.renderer.settings = replace(services.settings, postal_address="1 New Street")
    assert b"1 New Street" in compose().message
