"""A newsletter's headers, in the bytes that left."""

import hashlib
import hmac
import re
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import time_machine

from belong_mail.core import encryption
from belong_mail.core.decryption import BlindIndex
from tests.factories import group_named, queue_issue
from tests.markers import on_sqlite
from tests.servers.smtp import drop
from tests.smtp_raw import check_form, header_lines

# Names so long that no token and no number holds one by chance.
ADA, BEN = "Ada.Byron@dpsk12.org", "benjamin@dpsk12.org"
MEMBERS = (ADA, BEN)


@pytest.fixture
def sent(scenario):
    for member in MEMBERS:
        scenario.add_member(member)
    scenario.do(queue_issue)
    scenario.worker.drain()
    assert not scenario.relay.faults
    return scenario.relay.accepted


def test_a_newsletter_has_just_these_headers_each_once(sent):
    for one in sent:
        headers = check_form(one.data)
        assert list(headers) == [
            "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id",
            "List-Unsubscribe", "List-Unsubscribe-Post", "List-Owner", "List-Post", "Precedence",
            "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
        ]  # fmt: skip
        assert headers["From"] == '"DPS Belong" <belong@example.org>'
        assert headers["To"] == one.recipient
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert headers["List-Post"] == "NO"
        assert headers["List-Owner"] == "<mailto:dps-belong@example.org>"
        assert headers["Precedence"] == "list"
        assert headers["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"
        assert headers["MIME-Version"] == "1.0"
        for name, value in headers.items():
            assert "=?" not in value or name in {"Subject", "From"}, "machines read it"


def test_a_group_has_one_silent_list_id_for_its_whole_life(scenario):
    for slug in ("the-village", "lgbtq"):
        scenario.add_member(ADA, slug)
        scenario.do(queue_issue, slug, subject=f"One to {len(slug)}")
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        group = group_named(session, "lgbtq")
        group.name, group.slug = "Another name", "another-name"
        queue_issue(session, "another-name", subject="Two to 5")
    scenario.worker.drain()
    ids: dict[str, set[str]] = {}
    for one in scenario.relay.accepted:
        headers = dict(header_lines(one.data))
        ids.setdefault(headers["Subject"][-1], set()).add(headers["List-Id"])
    [village], [lgbtq] = ids["1"], ids["5"]
    assert village != lgbtq
    for value in (village, lgbtq):
        assert re.fullmatch(r"<[a-z2-7]{16}\.belong\.example\.org>", value)


@on_sqlite
def test_nobody_without_the_workers_key_works_out_a_list_id(sent, scenario):
    """The public id stands on pages; what is known to everybody must not lead to the header."""
    public_id = scenario.group("the-village").public_id
    [label] = {dict(header_lines(one.data))["List-Id"][1:17] for one in sent}
    raw = b32decode(label.upper())
    known = [b"", *(key.encode() for key in scenario.services.settings.secret_keys)]
    for text in (public_id, "the-village", "The Village", f"list\x00{public_id}\x00"):
        assert hashlib.sha256(text.encode()).digest()[:10] != raw
        for key in known:
            assert hmac.digest(key, text.encode(), hashlib.sha256)[:10] != raw
    own, other = (BlindIndex((encryption.new_keys()["index"],)) for _ in range(2))
    assert own.list_label(public_id) != other.list_label(public_id)


def test_the_date_of_all_copies_is_that_of_the_release_in_utc_however_late_they_leave(scenario):
    for member in MEMBERS:
        scenario.add_member(member)
    scenario.queue_at_once()
    released_at = datetime.now(UTC)
    with time_machine.travel(released_at + timedelta(minutes=30), tick=True):
        scenario.worker.drain()
    [value] = {dict(header_lines(one.data))["Date"] for one in scenario.relay.accepted}
    assert value.endswith(" +0000")
    assert abs(parsedate_to_datetime(value) - released_at) < timedelta(seconds=60)


def test_a_message_that_is_tried_again_is_the_same_message(scenario):
    scenario.add_member(ADA)
    scenario.do(queue_issue)
    scenario.relay.script("DOT", drop(b"25"))
    scenario.relay.script("DOT", "451 4.3.0 Later", "250 Ok")
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        for _ in range(4):
            scenario.worker.drain()
            clock.shift(timedelta(hours=3))
    bodies = [one.data for one in scenario.relay.accepted]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
