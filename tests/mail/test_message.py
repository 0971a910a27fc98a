"""Messages: what is written is what is read, whatever stands in it."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belong_mail.mail.message.headers import InvalidHeader, InvalidMessage, format_mailbox
from belong_mail.mail.message.mime import clean_text, compose, date_header, verify
from belong_mail.mail.message.template import MessageTemplate, slot

WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
HEADERS = [
    ("From", format_mailbox("DPS Belong", "belong@example.org")),
    ("To", slot("to")),
    ("Subject", "Spring, 春 & you"),
    ("Date", date_header(WHEN)),
    ("Message-ID", f"<{slot('id')}@example.org>"),
    ("List-Unsubscribe", f"<{slot('leave')}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
]
NAMES = [*(name for name, _ in HEADERS), "MIME-Version", "Content-Type"]
VALUES = {
    "to": "ada@dpsk12.org",
    "id": "a1b2c3",
    "leave": "https://belong.example.org/leave/" + "a1B2" * 30,
    "first_name": "Ada",
}
TEXT = f"Hello {slot('first_name')},\n\nwe meet on Thursday.\n\nLeave: {slot('leave')}\n"
HTML = f'<p>Hello {slot("first_name")},</p>\n<p><a href="{slot("leave")}">Leave</a></p>\n'
TRICKY = [
    "x" * 5000, "From here on", ".", "..", ".hidden", "", "soft\u00adhyphen",
    "\u202eright to left", "مرحبا", "👩🏽\u200d🏫", "a\rb", "trailing space ", "trailing tab\t",
    "=", "=3D", "--=_abc", "--=_abc--", "é" * 200, " ." * 100, "a. " * 100, "QUIT", "\x00\x08",
    "a" * 72 + ".b", "a" * 73 + ".b", "a" * 73 + "From b",
]  # fmt: skip


def wire(text: str = TEXT, html: str = HTML) -> MessageTemplate:
    return compose(HEADERS, text, html, boundary="abc")


def parse(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


def parts(message: bytes) -> list[str]:
    """Return text and HTML as they are decoded, without what a parser would tidy up."""
    halves = list(message_from_bytes(message).walk())[1:]
    assert [half.get_content_type() for half in halves] == ["text/plain", "text/html"]
    assert [half.get_content_charset() for half in halves] == ["utf-8", "utf-8"]
    decoded = [half.get_payload(decode=True) for half in halves]
    return [bytes(half).decode().replace("\r\n", "\n") for half in decoded]


def assert_fit_for_any_relay(message: bytes) -> None:
    verify(message, NAMES)
    head, _, body = message.partition(b"\r\n\r\n")
    assert all(len(line) <= 76 for line in body.split(b"\r\n"))
    assert b"\r\n.\r\n" not in message
    assert b"\r\n." not in message
    assert b"\r\nFrom " not in body
    assert not re.search(rb"[ \t]\r\n", body)
    assert head.count(b"boundary=") == 1


def test_a_reader_sees_what_was_written():
    message = wire().fill(VALUES)
    mail = parse(message)
    assert_fit_for_any_relay(message)
    assert mail["Subject"] == "Spring, 春 & you"
    assert mail["To"] == "ada@dpsk12.org"
    assert mail["Message-ID"] == "<a1b2c3@example.org>"
    assert mail["Date"] == "Tue, 24 Nov 2026 09:30:00 +0000"
    assert mail.get_content_type() == "multipart/alternative"
    text, html = parts(message)
    assert text == f"Hello Ada,\n\nwe meet on Thursday.\n\nLeave: {VALUES['leave']}\n"
    assert f'<a href="{VALUES["leave"]}">Leave</a>' in html

    assert f"\r\nList-Unsubscribe: <{VALUES['leave']}>\r\n".encode() in message
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in message


def kept(values: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name != "first_name"}


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ODD = ANY | st.lists(st.sampled_from(TRICKY), max_size=5).map("\n".join)


@settings(max_examples=150, deadline=None)
@given(before=ODD, value=ODD, after=ODD)
def test_a_slot_takes_any_value_between_any_words(before, value, after):
    before, value, after = (clean_text(part) for part in (before, value, after))
    body = f"x{before}{slot('first_name')}{after}"
    message = wire(body, body).fill({**VALUES, "first_name": value})
    assert_fit_for_any_relay(message)
    assert parts(message) == [f"x{before}{value}{after}", f"x{before}{escape(value)}{after}"]


def test_smuggled_ends_of_data_are_text():
    ends = ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n"]
    body = "".join(f"before{end}MAIL FROM:<x@example.org>" for end in ends)
    message = wire(body, f"<p>{body}</p>").fill(kept(VALUES))
    assert_fit_for_any_relay(message)
    assert parts(message)[0] == body.replace("\r\n", "\n")


def test_no_surplus_header_and_no_two_halves_of_an_encoded_word_are_let_in():
    for name in ("Bcc", "Content-Type", "MIME-Version", "Subject"):
        with pytest.raises(InvalidHeader):
            compose([*HEADERS, (name, "x")], "words", "<p>words</p>", boundary="abc")
    joined = compose(
        [*HEADERS, ("Feedback-ID", f"={slot('id')}?=")], "words", "<p>words</p>", boundary="abc"
    )
    with pytest.raises(InvalidHeader):
        joined.fill({**kept(VALUES), "id": "?utf-8?q?=0ABcc=3A_x"})


def test_a_value_is_never_a_template():
    value = f"{slot('leave')} {{{{ config }}}} %(leave)s {{0.__class__}} ${{env:HOME}}"
    assert parts(wire().fill({**VALUES, "first_name": value}))[0].startswith(f"Hello {value},")


def test_people_cannot_type_slots_or_controls():
    assert (
        clean_text(f"a{slot('leave')}b\x00\x08\x1b\x85c\r\nd\re\tf\ud800") == "abc\nd\ne\tf\ufffd"
    )
    assert clean_text("Ünï\u00adcode 👩🏽\u200d🏫 \uf8ff") == "Ünï\u00adcode 👩🏽\u200d🏫 \uf8ff"
    for name in ("", "Leave", "leave me", "leave>", "é"):
        with pytest.raises(ValueError, match="identifier"):
            slot(name)


@pytest.mark.parametrize(
    ("text", "html", "boundary"),
    [
        ("", "<p>a</p>", "abc"),
        ("a", " \n", "abc"),
        ("a", "a", ""),
        ("a", "a", "a b"),
        ("a", "a", "a" * 61),
    ],
)
def test_a_message_has_two_parts_and_a_plain_boundary(text, html, boundary):
    with pytest.raises(InvalidMessage):
        compose(HEADERS, text, html, boundary=boundary)


def test_finished_bytes_are_mistrusted():
    message = wire().fill(VALUES)
    verify(message, NAMES)
    with pytest.raises(InvalidHeader):
        verify(message.replace(b"\r\nSubject", b"\r\nBcc: x@example.org\r\nSubject"), NAMES)
    with pytest.raises(InvalidHeader):
        verify(message, [*NAMES, "Bcc"])
    with pytest.raises(InvalidHeader):
        verify(message.replace(b"\r\nMessage-ID", b"\r\n\r\nMessage-ID"), NAMES)
    for old, new in [
        (b"meet", b"me\net"),
        (b"meet", b"me\ret"),
        (b"meet", b"me\0t"),
        (b"meet", b"m\xc3\xa9t"),
        (b"meet", b"m" * 999),
        (b"we meet", b".we meet"),
        (b"--\r\n", b"--"),
    ]:
        with pytest.raises(InvalidMessage):
            verify(message.replace(old, new), NAMES)


def test_a_date_is_in_utc():
    denver = timezone(timedelta(hours=-7))
    assert date_header(datetime(2026, 11, 24, 2, 30, tzinfo=denver)) == date_header(WHEN)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000", date_header(WHEN))
    with pytest.raises(ValueError, match="zone"):
        date_header(WHEN.replace(tzinfo=None))
