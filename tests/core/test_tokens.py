"""Tokens: signed for one purpose, until they expire, whatever is done to their letters."""

import string
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.core.db import new_public_id
from belong_mail.core.tokens import (
    CLOCK_SKEW,
    MAX_TOKEN_CHARACTERS,
    BadToken,
    Purpose,
    TokenExpired,
    TokenInvalid,
    Tokens,
)

OLD, NEW, OTHER = (letter * 40 for letter in "abc")
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
URL_SAFE = string.ascii_letters + string.digits + "-_"

tokens = Tokens((OLD,))


@pytest.mark.parametrize("purpose", Purpose)
def test_a_token_serves_its_own_purpose_alone(purpose):
    token = tokens.sign(purpose, "some-id", datetime.now(UTC))
    assert tokens.read(purpose, token) == "some-id"
    for endpoint in set(Purpose) - {purpose}:
        with pytest.raises(TokenInvalid):
            tokens.read(endpoint, token)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_token_expires_to_the_second_and_one_for_leaving_never(purpose):
    """Clocks may differ by a minute, and no more."""
    token = tokens.sign(purpose, "some-id", AT)
    last = AT + timedelta(seconds=purpose.max_age or 10 * 365 * 24 * 3600)
    for at in (AT - CLOCK_SKEW, last):
        with time_machine.travel(at, tick=False):
            assert tokens.read(purpose, token) == "some-id"
    if purpose.max_age is not None:
        with time_machine.travel(last + SECOND, tick=False), pytest.raises(TokenExpired):
            tokens.read(purpose, token)
        early = AT - CLOCK_SKEW - SECOND
        with time_machine.travel(early, tick=False), pytest.raises(BadToken):
            tokens.read(purpose, token)


def test_each_purpose_has_its_lifetime_in_hours_and_leaving_has_none():
    assert {each.name: each.max_age and each.max_age / 3600 for each in Purpose} == {
        "CONFIRM": 72, "REFUSE": None, "LEAVE": None, "ONE_CLICK": None,
        "SIGN_IN": 1 / 6, "INVITATION": 168, "KNOWN_BROWSER": 9600,
        "CHANGE_ADDRESS": 24, "CONFIRM_MAILBOX": 72, "EMAIL_AGAIN": 72, "FORGET_NOTE": None,
        "MEMBER_CALENDAR": None, "CHECK_INBOX": 48, "WELCOME": 1, "STAFF_CODE": 4, "FORM": 24,
    }  # fmt: skip


def test_secret_keys_can_be_changed_without_breaking_what_was_mailed():
    old = Tokens((OLD,)).sign(Purpose.LEAVE, "some-id", AT)
    both = Tokens((OLD, NEW))
    new = both.sign(Purpose.LEAVE, "some-id", AT)
    assert both.read(Purpose.LEAVE, old) == both.read(Purpose.LEAVE, new) == "some-id"
    assert Tokens((NEW,)).read(Purpose.LEAVE, new) == "some-id"
    for key, token in ((NEW, old), (OLD, new), (OTHER, old)):
        with pytest.raises(TokenInvalid):
            Tokens((key,)).read(Purpose.LEAVE, token)


@given(st.binary(min_size=16, max_size=16).map(lambda _: new_public_id()))
def test_a_token_says_an_opaque_id_and_a_time_and_nothing_else(public_id):
    said, at, signature = tokens.sign(Purpose.CONFIRM, public_id, AT).split(".")
    assert said == public_id
    assert len(at) == 6
    assert len(signature) == 43
    assert set(signature) <= set(URL_SAFE)


def test_another_spelling_of_a_signature_never_means_another_id():
    """Base64 leaves spare bits, so nothing may be keyed on a token's text."""
    token = tokens.sign(Purpose.LEAVE, "some-id", AT)
    twins = 0
    for place in range(len(token)):
        for letter in URL_SAFE + ".=~%":
            bent = token[:place] + letter + token[place + 1 :]
            if bent != token and _read(bent) is not None:
                assert _read(bent) == "some-id"
                assert place == len(token) - 1
                twins += 1
    assert twins <= 3


def test_bent_and_cut_tokens_are_refused():
    token = tokens.sign(Purpose.LEAVE, "some-id", AT)
    parts = token.split(".")
    for bent in (
        token[1:], token + "\n", " " + token, token + "\x00", token.replace(".", "", 1),
        token.replace(".", ".."), token.upper(), token.swapcase(),
        "another-id" + token[token.index(".") :], ".".join(parts[::2]),
        token.replace(".", "\uff0e"), "é" + token, "\ud800" + token, ".".join(reversed(parts)),
        token * 2,
    ):  # fmt: skip
        with pytest.raises(TokenInvalid):
            tokens.read(Purpose.LEAVE, bent)
    assert all(_read(token[:length]) is None for length in range(len(token)))


def test_a_megabyte_is_refused_before_any_cryptography():
    for letter in ("a", ".", "=", "é"):
        assert _read(letter * 1_000_000) is None
    assert len(tokens.sign(Purpose.CONFIRM, new_public_id(), AT)) < MAX_TOKEN_CHARACTERS / 2
    assert _read(tokens.sign(Purpose.LEAVE, "x" * MAX_TOKEN_CHARACTERS, AT)) is None


@given(st.text(max_size=300))
def test_no_text_breaks_reading(text):
    assert _read(text) is None


def _read(token: str) -> str | None:
    try:
        return tokens.read(Purpose.LEAVE, token)
    except BadToken:
        return None
