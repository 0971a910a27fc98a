"""Writing to DPS Belong: stored before the thanks, mailed with Reply-To, anonymous if wished."""

import json
from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from typing import Any

import time_machine
from sqlalchemy import select

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import PLACE, TOPICS
from belong_mail.db import now
from belong_mail.parts import Parts
from belong_mail.sending.models import Delivery
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.dump import dump_of
from tests.people import Form, Visitor, html_of, text_of
from tests.servers.smtp import Server

INBOX = "dps-belong@example.org"
WORDS = "We need an interpreter on Tuesday."


def rows(parts: Parts) -> list[ContactMessage]:
    with parts.reading.begin() as session:
        return list(session.scalars(select(ContactMessage).order_by(ContactMessage.id)))


def opened(parts: Parts, keyring: Keyring) -> dict[str, str]:
    """Open the one message that is kept."""
    [row] = rows(parts)
    written: dict[str, str] = json.loads(keyring.opener.open(row.sealed, PLACE))
    return written


def the_mail(worker: Worker, relay: Server) -> EmailMessage:
    worker.drain()
    [mail] = relay.to(INBOX)
    return mail


def test_the_message_is_kept_sealed_before_the_thanks(
    visitor: Visitor, parts: Parts, keyring: Keyring
) -> None:
    answer = visitor.send(
        "/contact", topic="need", message=WORDS, name="Ada Lovelace", email="Ada@DPSK12.org"
    )
    assert answer.status_code == 303
    [row] = rows(parts)
    assert answer.location == f"/contact/received/{row.reference}"
    assert opened(parts, keyring) == {
        "topic": "need",
        "message": WORDS,
        "name": "Ada Lovelace",
        "address": "Ada@dpsk12.org",
        "to": "",
    }
    raw = repr(dump_of(parts))
    for word in ("interpreter", "Lovelace", "Ada@"):
        assert word not in raw


def test_who_leaves_out_name_and_address_leaves_nothing_of_themselves(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    visitor.headers |= {
        "User-Agent": "Canary/7.7",
        "X-Forwarded-For": "198.51.100.77",
        "Accept-Language": "en-CA",
    }
    visitor.client.environ_base["REMOTE_ADDR"] = "203.0.113.77"
    assert visitor.send("/contact", topic="concern", message=WORDS).status_code == 200
    assert opened(parts, keyring) == {
        "topic": "concern",
        "message": WORDS,
        "name": "",
        "address": "",
        "to": "",
    }
    columns = {column.key for column in ContactMessage.__table__.columns}
    assert columns == {"id", "reference", "group_id", "sealed", "received_at", "thread_id"}
    mail = the_mail(worker, relay)
    assert mail["Reply-To"] is None
    assert "gave no address" in text_of(mail)
    for seen in (repr(dump_of(parts)), mail.as_string(), text_of(mail), html_of(mail)):
        for trace in ("Canary", "198.51.100.77", "203.0.113.77", "en-CA"):
            assert trace not in seen


def test_the_inbox_gets_reference_topic_writer_and_words(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    typed = {"topic": "access", "message": f"{WORDS}\r\n\r\nThank you\u00a0— Ada", "name": "Ada"}
    visitor.send("/contact", email="ada@dpsk12.org", **typed)
    mail = the_mail(worker, relay)
    [row] = rows(parts)
    assert mail["Reply-To"] == "ada@dpsk12.org"
    assert mail["From"] == "DPS Belong <belong@example.org>"
    assert mail["Cc"] is None
    assert row.reference in mail["Subject"]
    assert "An interpreter, captions or access" in mail["Subject"]
    for part in (text_of(mail), unescape(html_of(mail))):
        for words in (row.reference, "Ada", "ada@dpsk12.org", WORDS, "Thank you\u00a0— Ada"):
            assert words in part
    assert [one.recipient for one in relay.accepted] == [INBOX, "ada@dpsk12.org"]


def test_every_topic_arrives_in_words(visitor: Visitor, worker: Worker, relay: Server) -> None:
    for topic in TOPICS:
        assert visitor.send("/contact", topic=topic, message=WORDS).status_code == 200
    worker.drain()
    subjects = "\n".join(mail["Subject"] for mail in relay.to(INBOX))
    for words in TOPICS.values():
        assert words in subjects


def test_the_page_tells_the_reference_and_an_unknown_one_is_not_there(
    visitor: Visitor, parts: Parts
) -> None:
    answer = visitor.send("/contact", topic="join", message=WORDS, email="ada@example.org")
    [row] = rows(parts)
    page = visitor.open(answer.location)
    assert row.reference in page.text
    assert WORDS not in page.text
    for unknown in ("2222-2222", row.reference.lower(), "x", "%00", "K7QM-2XR\u00d6", "9" * 9999):
        assert visitor.open(f"/contact/received/{unknown}").status_code == 404


def test_references_are_never_the_same_and_have_no_letters_that_look_alike(
    visitor: Visitor, parts: Parts
) -> None:
    for _ in range(20):
        visitor.send("/contact", topic="join", message=WORDS)
    references = [row.reference for row in rows(parts)]
    assert len(set(references)) == 20
    assert not set("".join(references)) & set("01OIL")


def test_the_notices_stand_on_the_page(visitor: Visitor) -> None:
    page = visitor.open("/contact").text
    for words in (
        "not watched around the clock",
        "911",
        "Safe2Tell",
        "The office may have to act on what you write",
        "Without an address: from the office you get a receipt code",
    ):
        assert words in page


BAD: tuple[dict[str, str], ...] = (
    {"message": ""},
    {"message": "   \r\n "},
    {"message": "a" * 5001},
    {"message": "a\x00b"},
    {"message": "a\x1b[31mb"},
    {"message": "a\u202eb"},
    {"message": "a\ue000b"},
    {"topic": "nonsense"},
    {"topic": ""},
    {"name": "a" * 101},
    {"name": "Ada\r\nBcc: all@example.org"},
    {"name": "Ada\nBcc: all@example.org"},
    {"name": "Ada\u2028Bcc: all@example.org"},
    {"name": "Ada\x00"},
    {"email": "ada"},
    {"email": "ada@dpsk12.org\r\nBcc: all@example.org"},
    {"email": "ada@dpsk12.org, all@example.org"},
    {"email": "Ada <ada@dpsk12.org>"},
    {"email": "=?utf-8?q?=0ABcc=3A_x=40example.org?=@example.org"},
    {"email": "a" * 300 + "@example.org"},
    {"email": "ada@exam ple.org"},
)


def test_what_cannot_be_sent_is_said_and_the_rest_is_kept(visitor: Visitor, parts: Parts) -> None:
    good = {"topic": "event", "message": WORDS, "name": "Ada", "email": "ada@example.org"}
    for typed in BAD:
        answer = visitor.send("/contact", **good | typed)
        assert answer.status_code == 422, typed
        kept = Form(answer.text).fields
        wanted = {name: value for name, value in good.items() if name not in typed}
        assert {name: kept[name] for name in wanted} == wanted, typed
        assert "Problem: Write to DPS Belong" in answer.text
    assert rows(parts) == []


def test_words_in_any_script_and_any_markup_arrive_as_they_are(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    words = (
        "¿Qué tal? 你好 שלום نور 👩🏽\u200d🏫🫨\u200b\ufeff\u00ad <script>alert(1)</script> "
        "{{ 7*7 }} {% raw %} %(x)s ${x}\n.\n..\nFrom here\n=?utf-8?q?x?="
    )
    name = "=?utf-8?q?=0ABcc=3A_x=40example.org?= <b>{{ 7*7 }}</b>"
    assert visitor.send("/contact", topic="join", message=words, name=name).status_code == 200
    mail = the_mail(worker, relay)
    assert words in text_of(mail).replace("\r\n", "\n")
    assert name in text_of(mail)
    assert "<script>" not in html_of(mail)
    assert "&lt;script&gt;" in html_of(mail)
    assert "<b>{{" not in html_of(mail)
    assert mail["Bcc"] is None
    assert mail.keys().count("Subject") == 1


def test_a_relay_that_is_down_loses_nothing(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    relay.always("CONNECT", "421 4.3.2 down for maintenance")
    assert visitor.send("/contact", topic="need", message=WORDS).status_code == 200
    begun = now()
    for hours in (0, 1, 5, 24):
        with time_machine.travel(begun + timedelta(hours=hours)):
            worker.drain()
    assert relay.to(INBOX) == []
    assert len(rows(parts)) == 1

    relay._habits.clear()
    with time_machine.travel(begun + timedelta(hours=25)):
        mail = the_mail(worker, relay)
    assert WORDS in text_of(mail)


def test_a_message_that_the_inbox_refuses_is_kept_until_somebody_has_seen_to_it(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts
) -> None:
    relay.always(f"RCPT {INBOX}", "550 5.1.1 no such mailbox")
    visitor.send("/contact", topic="need", message=WORDS)
    worker.drain()
    with time_machine.travel(now() + timedelta(days=60)):
        worker.step()
        assert len(rows(parts)) == 1
        with parts.reading.begin() as session:
            assert [each.state for each in session.scalars(select(Delivery))] == ["bounced"]


def test_two_that_write_at_once_are_both_heard(
    visitor: Visitor, worker: Worker, relay: Server
) -> None:
    for number in range(10):
        visitor.send("/contact", topic="event", message=f"message number {number}")
    worker.drain()
    texts = "".join(text_of(mail) for mail in relay.to(INBOX))
    for number in range(10):
        assert f"message number {number}" in texts


def asks_once_more(visitor: Visitor, parts: Parts, data: dict[str, Any]) -> bool:
    """Send a stale form, and tell whether one more press is enough."""
    answer = visitor.client.post("/contact", data=data)
    assert answer.status_code == 422
    assert "Please press the button once more." in answer.text
    assert rows(parts) == []
    again = Form(answer.text).fields
    assert again["message"] == WORDS
    assert again["trap"] == ""
    return visitor.client.post("/contact", data=again).status_code == 200


def test_a_stale_form_costs_one_more_press_and_no_word(visitor: Visitor, parts: Parts) -> None:
    fields = Form(visitor.open("/contact").text).fields | {"message": WORDS}
    with time_machine.travel(now() + timedelta(days=3)):
        assert asks_once_more(visitor, parts, fields)


def test_a_filled_trap_costs_one_more_press_and_no_word(visitor: Visitor, parts: Parts) -> None:
    fields = Form(visitor.open("/contact").text).fields | {"message": WORDS, "trap": "x"}
    assert asks_once_more(visitor, parts, fields)


def test_changing_the_language_keeps_every_word(visitor: Visitor, parts: Parts) -> None:
    typed = {"message": f"\n{WORDS}\n<b>", "name": "Ada", "email": "not yet", "topic": "event"}
    data = typed | {"switch_language": "es"}
    answer = visitor.client.post("/contact?lang=es", data=data)
    assert answer.status_code == 200
    assert answer.headers["Content-Language"] == "es"
    kept = Form(answer.text).fields
    assert kept["message"] == typed["message"].strip()
    assert {name: kept[name] for name in ("name", "email", "topic")} == {
        name: typed[name] for name in ("name", "email", "topic")
    }
    assert rows(parts) == []


def test_the_whole_journey_in_spanish(visitor: Visitor, worker: Worker, relay: Server) -> None:
    page = visitor.open("/contact?lang=es")
    assert "Write to" not in page.text
    for words in TOPICS.values():
        assert words not in page.text
    bad = visitor.send("/contact?lang=es", message="")
    assert "Escribe" in bad.text
    typed = {"message": "Necesito un intérprete.", "email": "ada@example.org"}
    answer = visitor.send("/contact?lang=es", topic="need", **typed)
    thanks = visitor.open(answer.location)
    assert thanks.headers["Content-Language"] == "es"
    assert "Thank you" not in thanks.text
    assert "Necesito un intérprete." in text_of(the_mail(worker, relay))


def test_a_message_too_big_for_any_mailbox_is_refused(visitor: Visitor, parts: Parts) -> None:
    answer = visitor.client.post("/contact?lang=es", data={"message": "a" * 10_000_000})
    assert answer.status_code == 413
    assert answer.headers["Content-Language"] == "es"
    assert rows(parts) == []


def test_another_site_cannot_write_in_somebodys_name(visitor: Visitor, parts: Parts) -> None:
    fields = Form(visitor.open("/contact").text).fields | {"message": WORDS}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example.org"}):
        assert visitor.client.post("/contact", data=fields, headers=headers).status_code == 403
    assert rows(parts) == []
