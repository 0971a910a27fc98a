"""Email that comes back again and again ends a membership; one bad hour ends none."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound import hard_bounces
from belong_mail.mail.bounces.parser import Kind, parse_report
from belong_mail.mail.phrases import known_phrase, reply_phrases
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply
from tests.browser_client import link_to
from tests.database import query
from tests.factories import make_member
from tests.inbound.mail import DISABLED, FULL, NO_DOMAIN, UNKNOWN, bounce, forwarded
from tests.inbound.scenario import ADA, VILLAGE
from tests.mail.bounces.samples import SAMPLES
from tests.mail.outcomes import CASES
from tests.markers import on_sqlite

BEN = "ben@dpsk12.org"
PERSONAL = "ada@personal.example.com"


@on_sqlite
@pytest.mark.parametrize(
    ("why", "days", "short"),
    [
        (UNKNOWN, [0, 1], [0, 0.1, 0.1, 0.1]),
        (NO_DOMAIN, [0, 1.1], [0, 0.9]),
        (DISABLED, [0, 1, 1.1], [0, 0.5, 0.5]),
        (("5.7.13", "550 5.7.13 Not now"), [0, 1, 1.1], [0, 2.1]),
        (FULL, [0, 8, 8, 8, 8], [0, 2, 2, 2, 2, 2]),
        (FULL, [0, 8, 8, 8, 8], [0, 12, 12, 8]),
        (("4.2.2", "452 4.2.2 Not now"), [0, 8, 8, 8, 8], [0, 12, 12, 8]),
    ],
)
def test_each_reason_has_its_patience_and_few_or_many_in_a_short_time_end_nothing(
    why, days, short, scenario
):
    scenario.add(ADA)
    scenario.come_back(*short, why=why)
    assert scenario.members() == 1
    scenario.add(BEN)
    scenario.come_back(*days[:-1], why=why, address=BEN)
    assert scenario.members() == 2
    scenario.come_back(days[-1], why=why, address=BEN)
    assert scenario.members() == 1


def test_reasons_of_two_kinds_are_counted_apart(scenario):
    scenario.add(ADA)
    scenario.come_back(0, why=FULL)
    scenario.come_back(1)
    assert scenario.members() == 1
    scenario.come_back(1)
    assert scenario.members() == 0


def test_a_mail_that_arrived_in_between_begins_the_count_anew(scenario):
    scenario.add(ADA)
    scenario.come_back(0)
    scenario.pass_days(7)
    scenario.issue()
    scenario.come_back(7)
    assert scenario.members() == 1
    scenario.come_back(7)
    assert scenario.members() == 0


@on_sqlite
def test_a_mail_that_left_late_counts_from_when_it_left(scenario):
    scenario.add(ADA)
    for _ in range(2):
        scenario.issue()
    with scenario.services.writing.begin() as session:
        _late, second = session.scalars(select(Delivery).order_by(Delivery.id))
        second.finished_at -= timedelta(days=1)
    path = scenario.copies()[0].return_path
    scenario.take(path, bounce(path, ADA))
    scenario.come_back(3)
    assert scenario.members() == 0


@on_sqlite
def test_two_emails_that_left_in_one_moment_can_both_bounce(scenario):
    scenario.add(ADA)
    for day in (0, 7):
        scenario.pass_days(day)
        scenario.issue()
        scenario.issue()
        scenario.at_one_moment()
        for copy in scenario.copies()[-2:]:
            scenario.take(copy.return_path, bounce(copy.return_path, ADA))
    assert scenario.members() == 0
    states = query(scenario.services, select(Delivery.state))
    assert states == ["bounced"] * 4


@on_sqlite
@pytest.mark.parametrize(
    ("tried", "field", "left"),
    [
        ("ada@elsewhere.example.org", None, 1),
        ("ada@elsewhere.example.org", "", 1),
        ("ada@elsewhere.example.org", "X-Actual-Recipient", 1),
        ("ada@mail.dpsk12.org", "", 0),
        ("ada@dps.onmicrosoft.com", "", 0),
        ("ada@dpsk12.org.test-google-a.com", "X-Actual-Recipient", 0),
    ],
)
def test_the_address_that_was_tried_last_is_the_one_that_failed(scenario, tried, field, left):
    """What fails behind a mailbox that forwards ends no membership; within the district it does.

    A report may name that address alone, or the member's as well.
    """
    scenario.add(ADA)
    for day in (0, 7):
        scenario.pass_days(day)
        issue = scenario.issue()
        path = scenario.copies()[-1].return_path
        alone = field is None
        report = bounce(path, tried) if alone else forwarded(path, ADA, tried, field)
        scenario.take(path, report)
        assert scenario.books(issue) == {"recipients": 1, "bounced": 1}
    assert scenario.members() == left


@on_sqlite
@pytest.mark.parametrize("failed", [PERSONAL, "ada@elsewhere.example.org", "ada@dpsk12.org"])
def test_a_report_tells_no_domain_of_a_personal_address(scenario, failed):
    """Forged reports would try out providers, if their answers differed."""
    others = "grace@mailbox.example.net"
    with scenario.services.writing.begin() as session:
        for address in (PERSONAL, others):
            make_member(session, scenario.keyring, address)
    scenario.issue()
    for address in (PERSONAL, others):
        path = scenario.copies(address)[-1].return_path
        scenario.take(path, bounce(path, failed))
    reason = select(Delivery.state, Delivery.code, Delivery.enhanced, Delivery.phrase)
    with scenario.services.reading.begin() as session:
        assert len(set(session.execute(reason))) == 1


@on_sqlite
def test_two_memberships_of_one_person_are_weighed_apart(scenario):
    """One person's acts in two groups meet nowhere: not even that they are unknown."""
    scenario.add(ADA)
    scenario.add(ADA, slug="asian")
    scenario.come_back(0, 7)
    assert (scenario.members(), scenario.members("asian")) == (0, 1)
    scenario.issue("asian")
    assert scenario.copies()[-1].recipient == ADA


@on_sqlite
def test_a_member_lost_to_bounces_can_join_again_like_anybody(scenario, visitor):
    for number in range(2):
        visitor.join(VILLAGE, ADA)
        scenario.worker.drain()
        link = link_to(scenario.relay.to(ADA)[-1], "confirm")
        visitor.follow(link)
        scenario.worker.drain()
        assert scenario.members() == 1
        if number == 0:
            scenario.come_back(0, 1)
            visitor.follow(link)
            assert scenario.members() == 0, "what was emailed before brings nobody back"
    before = len(scenario.copies())
    scenario.issue()
    assert len(scenario.copies()) == before + 1


def is_unknown(code: int | None, enhanced: str, phrase: str) -> bool:
    delivery = Delivery(state=State.BOUNCED, code=code, enhanced=enhanced, phrase=phrase)
    return hard_bounces.rule_of(delivery) is hard_bounces.UNKNOWN


def test_the_stored_part_of_a_report_is_judged_like_the_whole_report():
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
