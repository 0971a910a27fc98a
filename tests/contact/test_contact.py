"""Writing to DPS Belong: stored before the thanks, mailed with Reply-To, anonymous if wished."""

import json
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import MESSAGE_COLUMN
from tests.browser_client import Form, html_of, read, text_of
from tests.db_dump import dump_of

INBOX = "dps-belong@example.org"
STAFF = "ada@dpsk12.org"


def rows(scenario) -> list[ContactMessage]:
    return scenario.query(select(ContactMessage).order_by(ContactMessage.id))


WORDS = "We need an interpreter on Tuesday."


def opened(scenario) -> dict[str, str]:
    [row] = rows(scenario)
    written: dict[str, str] = json.loads(scenario.keyring.opener.open(row.sealed, MESSAGE_COLUMN))
    return written


def the_mail(scenario):
    [mail] = scenario.mails(INBOX)
    return mail


def test_a_message_without_name_and_address_keeps_no_trace_of_its_writer(visitor, scenario):
    visitor.headers |= {
        "User-Agent": "Canary/7.7",
        "X-Forwarded-For": "198.51.100.77",
        "Accept-Language": "en-CA",
    }
    visitor.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    assert visitor.send("/contact", topic="concern", message=WORDS).status_code == 200
    assert opened(scenario) == {
        "topic": "concern",
        "message": WORDS,
        "name": "",
        "address": "",
        "to": "",
        "language": "en",
    }
    columns = {column.key for column in ContactMessage.__table__.columns}
    assert columns == {"id", "reference", "group_id", "sealed", "received_at", "thread_id"}
    mail = the_mail(scenario)
    assert mail["Reply-To"] is None
    assert "gave no email address" in text_of(mail)
    for seen in (repr(dump_of(scenario.services)), mail.as_string(), text_of(mail), html_of(mail)):
        for trace in ("Canary", "198.51.100.77", "203.0.113.77", "en-CA"):
            assert trace not in seen


def test_the_message_is_kept_sealed_before_the_thanks_and_the_inbox_gets_all_of_it(
    visitor, scenario
):
    typed = {"topic": "access", "message": f"{WORDS}\r\n\r\nThank you\u00a0— Ada", "name": "Ada L"}
    answer = visitor.send("/contact", email="Ada@DPSK12.org", **typed)
    assert answer.status_code == 303
    [row] = rows(scenario)
    assert answer.location == f"/contact/received/{row.reference}"
    page = visitor.open(answer.location)
    assert row.reference in page.text
    assert WORDS not in page.text
    for unknown in ("2222-2222", row.reference.lower(), "x", "%00", "K7QM-2XR\u00d6", "9" * 9999):
        assert visitor.open(f"/contact/received/{unknown}").status_code == 404
    assert opened(scenario) == {
        "topic": "access",
        "message": typed["message"],
        "name": "Ada L",
        "address": "Ada@dpsk12.org",
        "to": "",
        "language": "en",
    }
    raw = repr(dump_of(scenario.services))
    for word in ("interpreter", "Ada L", "Ada@"):
        assert word not in raw
    mail = the_mail(scenario)
    assert mail["Reply-To"] == "Ada@dpsk12.org"
    assert mail["From"] == "DPS Belong <belong@example.org>"
    assert mail["Cc"] is None
    assert row.reference in mail["Subject"]
    assert "Interpreter, captions, or accessibility" in mail["Subject"]
    for part in (text_of(mail), read(unescape(html_of(mail)))):
        for words in (row.reference, "Ada L", "Ada@dpsk12.org", WORDS, "Thank you — Ada"):
            assert words in part
    assert [one.recipient for one in scenario.relay.accepted] == [INBOX, "Ada@dpsk12.org"]


BAD: tuple[dict[str, str], ...] = (
    {"message": ""},
    {"message": "   \r\n "},
    {"message": "a" * 5001},
    {"message": "a\u202eb"},
    {"topic": "nonsense"},
    {"topic": ""},
    {"name": "a" * 101},
    {"email": "ada"},
    {"email": "=?utf-8?q?=0ABcc=3A_x=40example.org?=@example.org"},
)


def test_an_invalid_message_is_explained_and_its_other_fields_are_kept(visitor, scenario):
    assert Form(visitor.open("/contact").text).fields["topic"] == "", "none is chosen beforehand"
    good = {"topic": "event", "message": WORDS, "name": "Ada", "email": "ada@example.org"}
    for typed in BAD:
        answer = visitor.send("/contact", **good | typed)
        assert answer.status_code == 422, typed
        kept = Form(answer.text).fields
        wanted = {name: value for name, value in good.items() if name not in typed}
        assert {name: kept[name] for name in wanted} == wanted, typed
        assert "Problem: Write to DPS Belong" in answer.text
    assert rows(scenario) == []


HELP = {
    "BELONG_HELP_LINES": (
        "Tell us 800-555-0101 https://tell.example.org, Line 555 https://lifeline.example.org"
    ),
    "BELONG_CONTACT_INBOX": INBOX,
}


@pytest.mark.parametrize("settings", [HELP])
def test_help_lines_and_the_offices_inbox_are_on_the_page_and_in_the_email(visitor, scenario):
    page = visitor.open("/contact").text
    for link in (
        "tel:911", "tel:800-555-0101", "https://tell.example.org", "tel:555",
        "https://lifeline.example.org", f"mailto:{INBOX}",
    ):  # fmt: skip
        assert f'href="{link}"' in page
    for words in (
        "No one watches this inbox around the clock",
        "The office may have to act on what you write",
        "If you write to the office, you’ll get a code",
    ):
        assert words in page
    visitor.send("/contact", topic="concern", message="Help", email=STAFF)
    [mail] = scenario.mails(STAFF)
    for part in (text_of(mail), html_of(mail)):
        for words in ("911", "800-555-0101", "tell.example.org", "555", "lifeline.example", INBOX):
            assert words in part
    assert "tel:" not in text_of(mail)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["/contact", "/contact?x=1"])
def test_the_crisis_lines_are_shown_with_a_broken_database(visitor, services, path):
    """A file that is no database gives another error than one that is locked or away."""
    assert visitor.open(path).status_code == 200
    services.engine.dispose()
    file = Path(services.engine.url.database or "")
    for each in file.parent.glob(f"{file.name}-*"):
        each.unlink()
    file.write_bytes(b"This was a database. " * 1000)
    answer = visitor.open(path)
    assert answer.status_code == 200
    assert "988" in answer.text
    assert "911" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
