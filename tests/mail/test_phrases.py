"""The phrases of `phrases.toml`: each is asked for, and rules name none that is missing."""

import tomllib
from pathlib import Path

from belong_mail.mail import phrases
from belong_mail.mail.smtp.replies import RULES

MAIL = Path(phrases.__file__).parent
FILE = tomllib.loads((MAIL / "phrases.toml").read_text(encoding="utf-8"))


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
