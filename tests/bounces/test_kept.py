"""What is kept of a report (codes, and a phrase of ours) is judged as the report was."""

import pytest

from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound import hard_bounces
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.mail.phrases import known_phrase, reply_phrases
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply
from tests.bounce_parsing.samples import SAMPLES, Sample
from tests.mail.test_outcomes import CASES

BOUNCES = [
    each
    for each in SAMPLES
    if len(each.recipients) == 1 and parse_report(each.data).kind is Kind.BOUNCE
]
REFUSALS = [(verb, reply) for verb, reply, _ in CASES if verb in {"RCPT", "DATA", "DOT"}]


def is_unknown(code: int | None, enhanced: str, phrase: str) -> bool:
    delivery = Delivery(state=State.BOUNCED, code=code, enhanced=enhanced, phrase=phrase)
    return hard_bounces.rule_of(delivery) is hard_bounces.UNKNOWN


@pytest.mark.parametrize("sample", BOUNCES, ids=str)
def test_a_membership_is_weighed_as_the_report_says(sample: Sample) -> None:
    report = parse_report(sample.data)
    assert is_unknown(report.code, report.status, report.phrase) is report.suppress


@pytest.mark.parametrize(("verb", "text"), REFUSALS)
def test_a_refusal_at_once_is_weighed_as_it_was_judged(verb: str, text: str) -> None:
    code, _, words = text.partition(" ")
    reply = Reply(int(code), words, verb)
    kept = is_unknown(reply.code, reply.enhanced, known_phrase(words))
    assert kept is (classify_reply(reply) is ReplyClass.REFUSED)


@pytest.mark.parametrize("phrase", reply_phrases())
def test_a_phrase_says_the_same_as_its_name(phrase: str) -> None:
    assert phrase in {known_phrase(phrase), known_phrase(f"5.7.0 {phrase}")}
