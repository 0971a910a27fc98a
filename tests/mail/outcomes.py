"""Replies of relays with what each asks of us: a line of `replies.txt` is one."""

from pathlib import Path

from belong_mail.mail.smtp.replies import ReplyClass

LINES = Path(__file__).with_name("replies.txt").read_text().splitlines()
# Verb, reply, verdict.
CASES = [
    (verb, reply, ReplyClass[name])
    for name, verb, reply in (each.split(" | ") for each in LINES if "|" in each)
]
