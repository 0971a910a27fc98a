"""Templates: the quick way to a copy is the careful one, octet for octet, whatever the values."""

from collections.abc import Callable, Mapping
from html import escape
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from belong_mail.mail.message.headers import InvalidMessage
from belong_mail.mail.message.mime import compose
from belong_mail.mail.message.template import (
    BodySlot,
    FastTemplate,
    HeaderSlot,
    MessageTemplate,
    quote,
    slot,
    split,
)

TO, ID, LEAVE, NAME = (slot(name) for name in ("to", "id", "leave", "first_name"))
# Values that are barely plain, or barely not.
EDGE = {
    "to": st.from_regex(r"[A-Za-z0-9._+'=?-]{1,66}@[A-Za-z0-9._-]{1,30}", fullmatch=True),
    "id": st.from_regex(r"<?[!-~ ]{1,40}@example.org>?", fullmatch=True),
    "leave": st.from_regex(r"(?:From |F|\.)?[A-Za-z0-9._ -]{1,74}", fullmatch=True),
    "first_name": st.from_regex(r"[A-Za-z .'<=?&%]{1,30}", fullmatch=True),
}
AWKWARD = [
    "", " ", ".", "..", ".x", "From ", "From", "From x", "F", "=", "?", "=?", "?=", "%b", "%", "%%",
    "%(to)s", "\n", "\r\n", "a\nb", "\na", "a\n", "a\r\nBcc: x@example.org", "\x00", "\u2028", "é",
    "a@b", "a@b\n", "a@b.", "a@.b", "a=?b@c", "a=b@c", "<a@b>", '"A" <a@b>', "a@b, c@d", "A B",
    "A  B",
    "=?utf-8?q?a?= <a@b>", "=?utf-8?q?=0A?=", '"', "\\", "'", "&", "<b>", " x", "x ", "x\t",
    "\ud800", "\ue000", "👩🏽\u200d🏫", "so\u00ad", *("x" * size for size in (24, 25, 64, 65, 66)),
    *("x" * size for size in (72, 73, 74, 75, 200, 201, 960, 998)),
    *("x" * size + "@b" for size in (64, 65)),
    *("a@" + "x" * size for size in (189, 190, 252, 253)), "x" * 64 + "@" + "x" * 190,
]  # fmt: skip
FIXED = ["", "<", ">", '"A" <', "words ", "=", "?", " ", "x" * 40, "a b ", "=?utf-8?q?a?= <", "%b"]
HEADERS = ["To", "Reply-To", "Subject", "Message-ID", "List-Unsubscribe", "Date"]


def issue() -> MessageTemplate:
    """Build a message with a slot wherever issues have had one."""
    headers = [
        ("From", "belong@example.org"),
        ("To", TO),
        ("Subject", f"100 % for you, {NAME}"),
        ("Date", "Tue, 24 Nov 2026 09:30:00 +0000"),
        ("Message-ID", ID),
        ("List-Unsubscribe", f"<https://example.org/one/{LEAVE}>"),
    ]
    text = f"%b %% {NAME},\n\n{NAME}{LEAVE}\n"
    return compose(headers, text, f'<p>{NAME}: <a href="{LEAVE}">100 %</a>', boundary="abc")


HALVES = BodySlot("value", is_html=False), BodySlot("value", is_html=True)
BODY = FastTemplate(MessageTemplate.of([b"%b", HALVES[0], b"\r\n", HALVES[1]]))


def outcome(fill: Callable[[Mapping[str, str]], bytes], values: Mapping[str, str]) -> bytes | str:
    try:
        return fill(values)
    except (InvalidMessage, UnicodeError) as error:
        return str(error)


class Quick(MessageTemplate):
    """A wire that cannot be filled with care."""

    def fill(self, values: Mapping[str, str]) -> bytes:
        raise AssertionError(values)


ISSUE = issue()
QUICK = FastTemplate(ISSUE)
ANY = st.sampled_from(AWKWARD) | st.text()
PLAIN = {
    "to": "ada.king+x@dpsk12.org",
    "id": "<a1b2c3@example.org>",
    "leave": "Fa1B2-_" * 10,
    "first_name": "Ada",
}


WHATEVER = st.fixed_dictionaries({name: edge | ANY for name, edge in EDGE.items()})
ONE_AMONG_PLAIN = st.sampled_from(sorted(PLAIN)).flatmap(
    lambda name: (EDGE[name] | ANY).map(lambda value: {**PLAIN, name: value})
)


@settings(max_examples=400, deadline=None)
@given(WHATEVER | ONE_AMONG_PLAIN)
@example({**PLAIN, "first_name": "x\ny", "leave": "x\ny"})
def test_an_issue_is_the_same_for_whatever_values(values):
    assert outcome(QUICK.fill, values) == outcome(ISSUE.fill, values)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_the_same_between_whatever_words(header):
    for before, after in product(FIXED, FIXED):
        wire = MessageTemplate.of([HeaderSlot(header, (before, "value", after))])
        quick = FastTemplate(wire)
        for value in AWKWARD:
            values = {"value": value}
            assert outcome(quick.fill, values) == outcome(wire.fill, values), (before, value, after)


@settings(max_examples=100, deadline=None)
@given(EDGE["leave"] | EDGE["first_name"] | ANY)
def test_a_body_is_quoted_and_escaped_for_whatever_value(value):
    for each in (value, *AWKWARD):
        assert BODY.fill({"value": each}) == b"%b" + quote(each) + b"\r\n" + quote(escape(each))


def test_each_slot_has_exactly_one_value_here_too():
    for values in ({}, {**PLAIN, "surplus": "x"}, {"to": PLAIN["to"]}):
        assert "not those of" in str(outcome(FastTemplate(ISSUE).fill, values))


def test_a_message_without_slots_and_one_with_two_in_a_line_are_filled_with_care():
    fixed = MessageTemplate.of([b"words\r\n"])
    assert FastTemplate(fixed).fill({}) == b"words\r\n"
    double = MessageTemplate.of([HeaderSlot("X-Two", ("", "one", " ", "two", ""))])
    assert FastTemplate(double).fill({"one": "a", "two": "b"}) == b"X-Two: a b\r\n"


def test_ordinary_values_never_need_the_careful_way():
    """So it stays the quick way: an address, a token, a number, a short name in the subject."""
    template = FastTemplate(Quick(ISSUE.pieces, ISSUE.slots))
    assert template.fill(PLAIN) == ISSUE.fill(PLAIN)


def test_a_header_with_several_values_of_ours_is_folded_once_for_all_copies():
    ways = f"<https://example.org/one/{LEAVE}>, <mailto:{ID}?subject=unsubscribe>"
    wire = MessageTemplate.of([HeaderSlot("List-Unsubscribe", split(ways))])
    ours = {"leave": "S" * 70, "id": "b+5a3f@example.org"}
    copy = {"leave": "T" * 70, "id": "b+90c1@example.org"}
    quick = FastTemplate(Quick(wire.pieces, wire.slots), ours)
    assert quick.fill(copy) == wire.fill(copy)
    assert b",\r\n <mailto:b+90c1@" in wire.fill(copy)
    for unfit in ({"leave": ours["leave"]}, {**ours, "id": "unsubscribe"}):
        with pytest.raises(AssertionError):
            FastTemplate(Quick(wire.pieces, wire.slots), unfit).fill(copy)


def test_our_own_values_are_checked_only_if_their_sample_is_not_plain():
    """An address and a name are others' words, however plain the samples are."""
    template = FastTemplate(Quick(ISSUE.pieces, ISSUE.slots), {"id": PLAIN["id"]})
    assert b"Message-ID: =?x?=" in template.fill({**PLAIN, "id": "=?x?="})
    for ours in ({"id": f"={PLAIN['id']}"}, {"leave": PLAIN["leave"]}):
        with pytest.raises(AssertionError):
            FastTemplate(Quick(ISSUE.pieces, ISSUE.slots), ours).fill({**PLAIN, "id": "=?x?="})
