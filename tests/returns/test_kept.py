"""What is kept of a report (codes, and a phrase of ours) is judged as the report was."""

import pytest

from belong_mail.mail.outcomes import Reply, Verdict, judge, known_phrase
from belong_mail.mail.phrases import PHRASES
from belong_mail.reports.reading import Kind, read
from belong_mail.returns import service as returns
from belong_mail.sending.models import Delivery, State
from tests.mail.test_outcomes import CASES
from tests.reports.samples import SAMPLES, Sample

BOUNCES = [
    each for each in SAMPLES if len(each.recipients) == 1 and read(each.data).kind is Kind.BOUNCE
]
REFUSALS = [(verb, reply) for verb, reply, _ in CASES if verb in {"RCPT", "DATA", "DOT"}]


def is_unknown(code: int | None, enhanced: str, phrase: str) -> bool:
    delivery = Delivery(state=State.BOUNCED, code=code, enhanced=enhanced, phrase=phrase)
    return returns.rule_of(delivery) is returns.UNKNOWN


@pytest.mark.parametrize("sample", BOUNCES, ids=str)
def test_a_membership_is_weighed_as_the_report_says(sample: Sample) -> None:
    report = read(sample.data)
    assert is_unknown(report.code, report.status, report.phrase) is report.suppress


@pytest.mark.parametrize(("verb", "text"), REFUSALS)
def test_a_refusal_at_once_is_weighed_as_it_was_judged(verb: str, text: str) -> None:
    code, _, words = text.partition(" ")
    reply = Reply(int(code), words, verb)
    kept = is_unknown(reply.code, reply.enhanced, known_phrase(words))
    assert kept is (judge(reply) is Verdict.REFUSED)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_says_the_same_as_its_name(phrase: str) -> None:
    assert phrase in {known_phrase(phrase), known_phrase(f"5.7.0 {phrase}")}
