"""The kept part of a report (codes, and a phrase of ours) is judged as the report was."""

from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound import hard_bounces
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.mail.phrases import known_phrase, reply_phrases
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply
from tests.mail.bounces.samples import SAMPLES
from tests.mail.outcomes import CASES


def is_unknown(code: int | None, enhanced: str, phrase: str) -> bool:
    delivery = Delivery(state=State.BOUNCED, code=code, enhanced=enhanced, phrase=phrase)
    return hard_bounces.rule_of(delivery) is hard_bounces.UNKNOWN


def test_a_membership_is_weighed_as_the_report_says():
    for sample in SAMPLES:
        report = parse_report(sample.data)
        if report.kind is Kind.BOUNCE and len(report.recipients) == 1:
            kept = is_unknown(report.code, report.status, report.phrase)
            assert kept is report.suppress, sample


def test_a_refusal_at_once_is_weighed_as_it_was_judged():
    for verb, text, _ in CASES:
        if verb in {"RCPT", "DATA", "DOT"}:
            code, _, words = text.partition(" ")
            reply = Reply(int(code), words, verb)
            kept = is_unknown(reply.code, reply.enhanced, known_phrase(words))
            assert kept is (classify_reply(reply) is ReplyClass.REFUSED), text


def test_a_phrase_says_the_same_as_its_name():
    for phrase in reply_phrases():
        assert phrase in {known_phrase(phrase), known_phrase(f"5.7.0 {phrase}")}
