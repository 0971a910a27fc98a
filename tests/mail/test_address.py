"""Addresses: accepted in one spelling, or refused without being quoted."""

import re
import string
import sys
from contextlib import suppress
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.mail.address import (
    MAX_ADDRESS,
    InvalidAddress,
    Staff,
    check,
    check_envelope,
    check_typed,
    correct_domain,
    domain,
    folded,
    normalise,
)
from belong_mail.mail.smtp.session import xtext

LETTERS = string.ascii_letters + string.digits
# RFC 5322 3.2.3.
ATEXT = LETTERS + "!#$%&'*+-/=?^_`{|}~"


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        (" Ada@dpsk12.org ", "Ada@dpsk12.org"),
        ("ada@DPSK12.ORG\n", "ada@dpsk12.org"),
        ("a@example.org", "a@example.org"),
        ("ada+belong@example.org", "ada+belong@example.org"),
        ("ada.king.lovelace@example.org", "ada.king.lovelace@example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
        ("ada@schools.k12.example.org", "ada@schools.k12.example.org"),
        ("ada@bücher.example.org", "ada@xn--bcher-kva.example.org"),
        ("ada@xn--bcher-kva.example.org", "ada@xn--bcher-kva.example.org"),
        (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
    ],
)
def test_an_address_has_one_spelling(typed, written):
    assert check(typed) == written
    check_envelope(written)


def test_nobody_types_what_a_header_could_take_for_an_encoded_word():
    assert check_typed(check("ada@example.org"))
    with pytest.raises(InvalidAddress):
        check_typed(check("=?a?=@example.org"))


REFUSED = [
    "", " ", "ada", "@", "@example.org", "ada@", "ada@@example.org", "ada@example",
    "ada@example..org", "ada@-example.org", "ada@example.org.", ".ada@example.org",
    "ada.@example.org", "a..da@example.org", "ada lovelace@example.org", "ada@exam ple.org",
    '"ada lovelace"@example.org', '"ada"@example.org', "ada@[127.0.0.1]", "ada@[IPv6:::1]",
    "ada@127.0.0.1", "ada(comment)@example.org", "Ada <ada@example.org>", "<ada@example.org>",
    "ada@example.org, eva@example.org", "ada@example.org;eva@example.org",
    "ada@example.org\r\nBcc: eva@example.org", "ada\n@example.org", "ada\x00@example.org",
    "ada@example.org\x00", "ada\x7f@example.org", "ada\u200b@example.org", "ada\u202e@example.org",
    "ada\uff20example.org", "ada@example\uff0eorg\u2028", "müller@example.org",
    "mu\u0308ller@example.org", "ada@example.org>\r\nDATA",
    "mailto:ada@example.org?bcc=eva@example.org", f"{'a' * 65}@example.org",
    f"ada@{'a' * 64}.example.org", f"ada@{'.'.join(['a' * 60] * 5)}.org",
    f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.{'c' * 8}.org", "\ud800@example.org",
]  # fmt: skip


@pytest.mark.parametrize("typed", REFUSED)
def test_an_address_that_no_relay_can_deliver_to_is_refused_and_not_quoted(typed):
    with pytest.raises(InvalidAddress) as refusal:
        check(typed)
    assert "@" not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    "address",
    [
        "b@x>\r\nDATA", "b@example.org\r\n", "b@example.org\n", "b c@example.org",
        "<b@example.org>", "b@example.org,c@example.org", "b@", "@example.org", "b", "",
        "b\x00@example.org", "b@[127.0.0.1]", '"b"@example.org', "bé@example.org", "b@exämple.org",
        f"{'a' * 65}@example.org", f"b@{'c' * 260}", f"{'a' * 64}@{'b' * 200}", f"a@{'b' * 253}",
        "b@-example.org", "b@.example.org", "b@example.org.", "b@example.org-", "b@example_.org",
        "\U0001f469@example.org",
    ],
)  # fmt: skip
def test_an_envelope_mistrusts_every_address(address):
    with pytest.raises(InvalidAddress):
        check_envelope(address)


@pytest.mark.parametrize("address", ["b@c", f"{'a' * 64}@{'b' * 189}", f"a@{'b' * 252}"])
def test_an_envelope_takes_the_longest_address(address):
    check_envelope(address)


def test_in_an_envelope_stands_no_character_that_could_end_a_path_or_a_line():
    places: dict[str, set[str]] = {"a{}b@example.org": set(), "a@example{}x.org": set()}
    every = [*range(0x250), *range(0x250, sys.maxunicode + 1, 97)]
    for place, fitting in places.items():
        for character in map(chr, every):
            with suppress(InvalidAddress):
                check_envelope(place.format(character))
                fitting.add(character)
    assert list(places.values()) == [set(ATEXT + "."), {*LETTERS, ".", "-"}]


@given(st.text(st.sampled_from(ATEXT + "."), min_size=1, max_size=64))
def test_an_envelope_address_is_encoded_as_xtext_and_decodes_to_itself(local):
    """RFC 3461 4: printable ASCII without + and =; anything else is a plus and two digits."""
    check_envelope(f"{local}@example.org")
    said = xtext(local)
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+", said)
    assert unquote(said.replace("%", "%25").replace("+", "%")) == local


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@dpsk12.org", " ada@DPSK12.org"),
        ("ada@bücher.example.org", "ADA@XN--BCHER-KVA.example.org"),
        ("ada@straße.example.org", "ada@xn--strae-oqa.example.org"),
        ("mu\u0308ller@example.org", "MÜLLER@example.org"),
    ],
)
def test_one_person_has_one_identity(one, other):
    assert normalise(one) == normalise(other)


def test_a_dot_makes_another_person_and_a_plus_tag_does_not():
    for other in ("a.da@example.org", "ada@example.com"):
        assert folded("ada@example.org") != folded(other)
    assert folded("ada@example.org") == folded("Ada+x+y@example.org")
    assert domain("Ada@DPSK12.org") == "dpsk12.org"


def test_staff_have_an_address_of_the_district_that_is_a_persons_own():
    staff = Staff(("dpsk12.org",), re.compile(r"^office$"))
    for address, is_staff in (
        ("ada@dpsk12.org", True), ("ada@example.org", False), ("Ada@DPSK12.org", False),
        ("office@dpsk12.org", False), ("office+ada@dpsk12.org", False),
    ):  # fmt: skip
        assert staff.admits(address) is is_staff, address


SLIPS = (
    "dspk12.org", "dpsk21.org", "dpskl2.org", "dpk12.org", "dpssk12.org", "dpsk12.ogr",
    "dpsk12.rog", "dspk13.org",
    "dpsk1.org", "dpsk12.or", "psk12.org", "dpsk12org", "dpsk12,org", "dpsk12..org", "dpsk12",
    "dpsk12.com", "dpsk12.net", "dpsk12.orgg", "d\u0440sk12.org", "DSPK12.ORG",
)  # fmt: skip
OTHERS = (
    "gmail.com", "dpsk12.org", "DPSK12.ORG", "evildpsk12.org", "mail.dpsk12.org", "example.org",
    "dpsk12.example.org", "dpsk12.org.evil.example.org", "aurorak12.org", "a.org", "",
)  # fmt: skip


@pytest.mark.parametrize("host", SLIPS)
def test_a_slip_in_the_domain_is_recognized(host):
    assert correct_domain(f" ada@{host} ", ("example.org", "dpsk12.org")) == "ada@dpsk12.org"


@pytest.mark.parametrize("host", OTHERS)
def test_other_domains_are_left_alone(host):
    assert correct_domain(f"ada@{host}", ("dpsk12.org",)) is None


def test_the_nearest_domain_is_meant_and_a_short_one_is_near_to_few():
    assert correct_domain("ada@dpsk13.org", ("dusk33.org", "dpsk12.org")) == "ada@dpsk12.org"
    assert correct_domain("ada@ax.co", ("dp.co",)) is None
    assert correct_domain("a b@dspk12.org", ("dpsk12.org",)) is None


@given(st.text(max_size=80) | st.from_regex(r"[^@]{1,20}@[^@]{1,20}\.org", fullmatch=True))
def test_any_typed_text_gets_one_spelling_or_is_refused(typed):
    try:
        written = check(typed)
    except InvalidAddress:
        return
    assert check(written) == written
    assert normalise(written) == normalise(typed.strip(" \t\r\n\u00a0"))
    check_envelope(written)


def test_text_longer_than_any_address_has_no_identity():
    """Accents in a row take time by the square of their number, and the web may write a million."""
    longest = f"{'a' * (MAX_ADDRESS - 11)}@dpsk12.org"
    assert normalise(longest) == longest
    with pytest.raises(InvalidAddress):
        normalise(f"a{longest}")
