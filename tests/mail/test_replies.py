"""Replies: what each asks of us, and that our faults never fall on a reader."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belong_mail.mail import phrases
from belong_mail.mail.phrases import known_phrase
from belong_mail.mail.smtp.replies import RULES, Reply, ReplyClass, classify_reply
from tests.mail.outcomes import CASES

MAIL = Path(phrases.__file__).parent
FILE = tomllib.loads((MAIL / "phrases.toml").read_text(encoding="utf-8"))


def reply_of(verb: str, written: str) -> Reply:
    return Reply(int(written[:3]), written[4:], verb)


def test_each_sample_reply_is_classified_as_the_table_says():
    judged = {
        (verb, written): classify_reply(reply_of(verb, written)) for verb, written, _ in CASES
    }
    assert judged == {(verb, written): verdict for verb, written, verdict in CASES}


def test_only_a_permanent_answer_about_the_recipient_suppresses():
    for verb, written, verdict in CASES:
        for other in ("MAIL", "EHLO", "STARTTLS", "AUTH", "CONNECT"):
            assert classify_reply(reply_of(other, written)) is not ReplyClass.REFUSED, written
        if verdict is not ReplyClass.REFUSED:
            for spelled in (written.lower(), written.upper()):
                assert classify_reply(reply_of(verb, spelled)) is not ReplyClass.REFUSED, spelled


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 User unknown", "5.1.1"), ("#5.1.0 Rejected", "5.1.0"), ("5.7.1: refused", "5.7.1"),
        ("5.7.1\n5.7.1 more", "5.7.1"), ("4.2.1 of another class", ""), ("version 5.1.1", ""),
        ("5.1.1000", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_enhanced_code_stands_first_and_agrees(text, code):
    assert Reply(550, text, "RCPT").enhanced == code


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("2.0.0 Ok: queued as 4dKm2X1Yz9.", "4dKm2X1Yz9"), ("OK id=1rE5x-00-1x", "1rE5x-00-1x"),
        ("Ok 0100017f-6e-000000", "0100017f-6e-000000"), ("2.0.0 Ok: queued\nas 4dKm2X1Yz9", ""),
        ("2.6.0 <a@b.org> [InternalId=53154215, Hostname=x] Queued mail", "53154215"),
        ("Ok johanna-smith@dpsk12.org", ""), ("OK id=johanna.smith@dpsk12.org", ""),
    ],
)  # fmt: skip
def test_the_id_in_the_relays_queue_is_no_part_of_an_address(text, named):
    assert Reply(250, text, "DOT").queue_id == named


def test_a_phrase_is_ours_and_quotes_nobody():
    quoting = "5.1.1 <ada@dpsk12.org>: Recipient address rejected: User unknown"
    assert known_phrase(quoting) == "no such user"
    assert known_phrase("Mailbox full") == "mailbox full"
    assert known_phrase("ada@dpsk12.org") == ""


@given(st.integers(100, 999), st.text(max_size=400), st.sampled_from(["MAIL", "RCPT", "DOT", "X"]))
def test_any_reply_is_judged(code, text, verb):
    verdict = classify_reply(Reply(code, text, verb))
    assert (verdict is ReplyClass.ACCEPTED) == (200 <= code < 300)


def test_only_the_beginning_of_a_long_reply_is_judged():
    """However much a relay says, the one thread that sends has other things to do."""
    told = "5.0.0 " + "x " * 900 + "No such user here"
    assert classify_reply(Reply(550, told, "RCPT")) is ReplyClass.REFUSED
    buried = "5.0.0 " + "x " * 1100 + "No such user here"
    assert classify_reply(Reply(550, buried, "RCPT")) is ReplyClass.FAIL
    assert known_phrase(buried) == ""


def test_every_phrase_of_a_message_is_asked_for_and_can_be_matched():
    sources = "".join(each.read_text() for each in (MAIL / "bounces").glob("*.py"))
    lines = "".join("".join(each) for each in FILE["messages"].values())
    for name in FILE["messages"]:
        assert f'"{name}"' in sources or f"{{{name}}}" in lines, name
        phrases.message_phrase(name)


def test_a_rule_names_phrases_of_the_file_alone():
    named = frozenset().union(*(rule.says for rule in RULES))
    assert named <= FILE["replies"].keys()
    assert {each.unless for each in phrases.reply_phrases().values()} <= {"", *FILE["replies"]}


def test_no_phrase_is_found_in_a_text_of_no_words():
    assert not list(phrases.phrases_in_reply("x y z"))
    for name in FILE["messages"]:
        assert not phrases.is_said(name, "x y z"), name
