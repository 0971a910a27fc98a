"""Header lines: what goes in comes out, and nothing else gets in."""

import random
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belong_mail.mail.message import headers
from belong_mail.mail.message.headers import InvalidHeader, format_mailbox

WORDS = [
    "Spring", "meeting", "Reunión", "émigré", "春の集まり", "ملتقى", "שלום",
    "👩🏽\u200d🏫🏳️\u200d🌈", "e\u0301",
]  # fmt: skip
GLUE = [" ", " ", " ", "  ", "   ", " \u00a0", "-", "=?", "?=", "_", ", ", " (", ") ", '"', "\\"]
INJECTIONS = [
    "=?utf-8?q?=0ABcc=3A_x=40y?=",
    "=?utf-8?q?=0D=0ABcc=3A_x=40example.org?=",
    "=?UTF-8?Q?hello=0Aworld?=",
    "=?utf-8?b?CkJjYzogeEBleGFtcGxlLm9yZw==?=",
    "=?utf-8?B?DQoNCmJvZHk?=",
    "Hello =?iso-8859-1?q?=0A?= there",
    "=?utf-8*en?q?=0D?=",
    "=?utf-7?q?+AAo-Bcc?=",
    "=?utf-16-be?b?AAoAQgBjAGM=?=",
    "=?unknown?q?=0ABcc?=",
    "=?utf-8?q?=00?=",
    "=?utf-8?q?=E2=80=A8?=",
    "=?utf-8?q?a?b=0A?=",
    *(
        f"Hello{character}Bcc: x@example.org"
        for character in "\r\n\0\t\v\f\x1b\x7f\x85\u2028\u2029"
    ),
    "\r\nBcc: x@example.org",
    "Hello\r\n\r\n<b>body</b>",
    "lone \ud800 surrogate",
]


def read(raw: bytes) -> str:
    """Decode as an independent reader does, by RFC 2047."""
    unfolded = raw.partition(b": ")[2].removesuffix(b"\r\n").replace(b"\r\n", b"").decode()
    return str(make_header(decode_header(unfolded)))


def read_name(raw: bytes) -> str:
    phrase = raw.partition(b": ")[2].replace(b"\r\n", b"").decode().rpartition(" <")[0]
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(make_header(decode_header(phrase)))


def assert_well_formed(raw: bytes) -> None:
    assert raw.endswith(b"\r\n")
    lines = raw.removesuffix(b"\r\n").split(b"\r\n")
    assert all(len(line) <= 76 for line in lines)
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert all(line == line.rstrip() for line in lines)
    assert b"?==?" not in raw
    for word in re.findall(rb"=\?[^ \r]*\?=", raw):
        assert len(word) <= 75
        str(make_header(decode_header(word.decode())))


ANY = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)
ODD = st.lists(st.sampled_from([*WORDS, *GLUE, "é" * 90, "y" * 90]), min_size=1, max_size=28)


@settings(max_examples=150, deadline=None)
@given(ANY | ODD.map("".join))
def test_any_subject_comes_back_exactly(subject):
    raw = headers.format_header("Subject", subject)
    assert_well_formed(raw)
    assert read(raw) == subject


def test_a_plain_subject_stays_plain_and_is_folded_at_spaces():
    subject = "We meet on Thursday in the library, bring a friend and a question for all of us"
    raw = headers.format_header("Subject", subject)
    assert b"=?" not in raw
    assert raw.count(b"\r\n ") == 1
    assert read(raw) == subject


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_header_and_no_display_name_lets_a_line_in(text):
    with pytest.raises(InvalidHeader):
        format_mailbox(text, "belong@example.org")
    for name in ("Subject", "From", "To", "Reply-To", "List-Id", "Message-ID"):
        with pytest.raises(InvalidHeader) as refusal:
            headers.format_header(name, text)
        assert name in str(refusal.value)
        assert "Bcc" not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?hello?=", "=?x", "a =?utf-8?b?aGk=?= b", "=?utf-8?b?!?="]
)
def test_a_subject_that_looks_encoded_is_read_as_it_was_written(text):
    assert read(headers.format_header("Subject", text)) == text


@pytest.mark.parametrize("after", ["", ", <mailto:leave+a1b2@example.org>"])
def test_a_long_link_is_not_encoded_and_each_way_out_has_a_line(after):
    for length in range(60, 601, 9):
        link = ("https://belong.example.org/leave/" + "a1B2-_" * 100)[:length]
        written = headers.format_header("List-Unsubscribe", f"<{link}>{after}").decode()
        assert written == f"List-Unsubscribe: <{link}>{after}\r\n".replace(">, <", ">,\r\n <")


@pytest.mark.parametrize("gap", [2, 3, 80])
def test_wide_gaps_are_kept_and_no_line_ends_in_one(gap):
    subject = ("word" + " " * gap) * 30 + "end"
    raw = headers.format_header("Subject", subject)
    assert_well_formed(raw)
    assert read(raw) == subject


def test_a_line_ends_before_its_thousandth_octet():
    assert headers.format_header("References", "a" * 986)
    with pytest.raises(InvalidHeader):
        headers.format_header("References", "a" * 987)
    with pytest.raises(InvalidHeader):
        headers.format_header("List-Id", "Grüße <a1.belong.example.org>")


def test_display_names_come_back_exactly():
    source = random.Random(7)
    for _ in range(1000):
        name = "".join(source.choices("ab ,;:<>\"()'.\\/[]=?_éß春👩", k=source.randint(1, 50)))
        raw = headers.format_header("From", format_mailbox(name, "belong@example.org"))
        assert_well_formed(raw)
        [parsed] = message_from_bytes(raw + b"\r\n", policy=policy.default)["From"].addresses
        assert parsed.addr_spec == "belong@example.org"
        assert read_name(raw) == name


@pytest.mark.parametrize("name", ["eva@example.org", "Eva (eva@example.org)", "@", "é@"])
def test_a_display_name_is_not_taken_for_an_address(name):
    with pytest.raises(InvalidHeader):
        format_mailbox(name, "belong@example.org")


@pytest.mark.parametrize(
    "value",
    [
        '"eva@example.org" <belong@example.org>',
        "=?utf-8?q?eva=40example.org?= <belong@example.org>",
        "=?utf-8?b?ZXZhQGV4YW1wbGUub3Jn?= <belong@example.org>",
        "=?utf-8?q?Eva_?= =?utf-8?q?eva=40example.org?= <belong@example.org>",
        "ada@example.org, eva@example.org", "Ada <ada@example.org>, eva@example.org",
        '"Ada" <ada@example.org> (eva)', '"a" b" <ada@example.org>', "ada@example.org\t", "ada@",
        "", "Group: ada@example.org;",
    ],
)  # fmt: skip
def test_an_address_header_holds_one_mailbox(value):
    with pytest.raises(InvalidHeader):
        headers.format_header("To", value)


def test_a_bare_address_is_a_mailbox():
    assert format_mailbox("", "ada@example.org") == "ada@example.org"
    assert headers.format_header("To", "ada@example.org") == b"To: ada@example.org\r\n"
    with pytest.raises(InvalidHeader):
        format_mailbox("Ada", "ada@example.org>\r\nDATA")


@pytest.mark.parametrize(
    "names",
    [
        ["From", "Date", "Bcc"], ["From", "Date", "bcc"], ["From", "Date", "Subject", "subject"],
        ["From", "From", "Date"], ["From"], ["Date"], ["From", "Date", "Content-Type"],
        ["From", "Date", "MIME-Version"], ["From", "Date", "X Y"], ["From", "Date", "X:"],
        ["From", "Date", ""], ["From", "Date", "X\r\nBcc"], ["From", "Date", "Überschrift"],
    ],
)  # fmt: skip
def test_header_names_stand_once_and_are_ours(names):
    with pytest.raises(InvalidHeader):
        headers.check_names(names)


@settings(max_examples=300)
@given(st.sampled_from(["Subject", "To", "List-Id", "Feedback-ID"]), st.text(max_size=60))
def test_a_header_is_one_header_or_is_refused(name, value):
    try:
        raw = headers.format_header(name, value)
    except InvalidHeader:
        return
    assert message_from_bytes(raw + b"\r\n").keys() == [name]
    assert b"\0" not in raw
    assert raw.isascii()
