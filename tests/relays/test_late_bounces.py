"""A fifth of an issue bounces an hour later into a mailbox, while workers are killed."""

import os
import smtplib
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.inbound import bounces
from belong_mail.inbound.hard_bounces import rule_of
from tests.bounces.mail import apple, complaint
from tests.bounces.scenario import pass_days
from tests.faults.audit import Expected, audit
from tests.faults.storm import IN_HAND
from tests.intake.inbox import READ, Inbox
from tests.markers import night
from tests.relays.bounce_run import BounceRun
from tests.relays.debian import why_not
from tests.relays.fates import ALIVE, COUNTED, GONE, SMALL, STAFF, Person, people
from tests.relays.late import DOMAIN, late_relay
from tests.servers.dovecot import Dovecot, dovecot, needs_dovecot
from tests.servers.ledger import Copy
from tests.servers.smtp import Server

# 5,000 at night; within the suite so many that more of the large domain are unknown than is usual.
RECIPIENTS = int(os.environ.get("BOUNCES", "360"))
# Kills while a round's issue is sent, and as many while it is read what comes back.
KILLS = (3, 2) if RECIPIENTS >= 1_000 else (1, 1)
# More of a domain are not believed within an hour.
USUAL = 19
# Just over a day: what has to have failed on two days has.
A_DAY = 25 / 24

pytestmark = [
    night("real mail servers"),
    needs_dovecot,
    pytest.mark.skipif(bool(why_not()), reason=f"NOT TESTED: real late bounces; {why_not()}"),
    pytest.mark.timeout(max(600, RECIPIENTS)),
]


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def run(
    imap: Dovecot, environment: dict[str, str], services: Services, keyring: Keyring
) -> Iterator[BounceRun]:
    user = f"{os.urandom(4).hex()}@{DOMAIN}"
    with Server() as hop, late_relay(imap, user, hop) as relay:
        settings = environment | {
            "BELONG_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none",
            "BELONG_MAIL_DOMAIN": DOMAIN,
            "BELONG_ALLOWED_DOMAINS": f"{STAFF}, {SMALL}, {GONE}",
            "BELONG_INBOUND_URL": imap.url(user),
            "BELONG_UNCERTAIN": "0",
        }
        members = list(people(RECIPIENTS))
        yield BounceRun(
            services, keyring, settings, relay, hop, Inbox(imap, user), members,
            patience=max(120.0, RECIPIENTS / 10),
        )  # fmt: skip


def test_a_fifth_that_bounces_an_hour_later_is_counted_once_whatever_dies(run: BounceRun) -> None:
    """On two days: every copy, report, message and membership is right."""
    run.enter()
    everybody = {each.address for each in run.members}
    first = run.round(KILLS[0])
    require_right(run, first, run.relay.copies(), KILLS[0])
    assert run.active() == everybody
    left = answer(run, run.relay.copies())
    run.read()
    assert run.active() == everybody - left

    pass_days(run.services, A_DAY)
    seen = len(run.relay.copies())
    run.members = [each for each in run.members if each.address not in left]
    second = run.round(KILLS[1])
    require_right(run, second, run.relay.copies()[seen:], KILLS[1])
    believed = {each.address for each in run.dead if is_believed(run, each)}
    assert run.active() == everybody - left - believed

    accept_and_audit(run, everybody - left)
    assert run.killed == 2 * sum(KILLS)


def accept_and_audit(run: BounceRun, members: set[str]) -> None:
    """The office hears that bounces are doubted, and believes them."""
    gone = {each.address for each in run.dead if each.fate in {"unknown", "gone"}}
    lost = gone - {each.address for each in run.dead if is_believed(run, each)}
    with run.services.writing.begin() as session:
        assert bounces.breaker_until(session, now()) is not None
        assert bounces.override_breaker(session) == len(lost)
        assert bounces.breaker_until(session, now()) is None
    assert run.active() == members - gone
    assert run.books(run.queue())["recipients"] == len(members - gone)


def is_believed(run: BounceRun, person: Person) -> bool:
    """Tell whether a membership ends by itself: no more of the domain are gone than usual."""
    number = Counter(each.domain for each in run.dead if each.fate in {"unknown", "gone"})
    return person.fate in {"unknown", "gone"} and number[person.domain] <= USUAL


def require_right(run: BounceRun, issue: str, copies: list[Copy], kills: int) -> None:
    """Audit the copies, the report, what each bounce counts for, and the mailbox."""
    books = run.books(issue)
    assert audit(books, copies, Expected(len(run.members), breaks=kills * IN_HAND)) == []
    assert (books["bounced"], books["accepted"]) == (
        len(run.dead), len(run.members) - len(run.dead),
    )  # fmt: skip
    fates = {each.address: each.fate for each in run.members}
    with run.services.reading.begin() as session:
        wrong = Counter(
            (fates[address], delivery.state, delivery.enhanced, delivery.phrase)
            for address, delivery in run.deliveries(session, issue)
            if not is_right(fates[address], delivery.state, rule_of(delivery))
        )
    assert wrong == Counter()
    require_read_once(run)


def is_right(fate: str, state: str, rule: object) -> bool:
    if fate not in COUNTED:
        return state == "accepted"
    return state == "bounced" and rule is COUNTED[fate]


def require_read_once(run: BounceRun) -> None:
    """Each message that Postfix put into the mailbox was taken in once, and moved once."""
    reports = Counter(run.relay.reports())
    assert max(reports.values()) == 1
    assert run.inbox.counts() == (0, len(reports))
    assert Counter(run.inbox.message_ids(READ)) == reports
    assert run.taken() == len(reports)
    assert run.leftovers() == {}


def answer(run: BounceRun, copies: list[Copy]) -> set[str]:
    """Let some of the living answer; return who wants no more."""
    paths = {copy.recipient: copy.return_path for copy in copies}
    living = [each.address for each in run.members if each.fate == ALIVE]
    away, complaining, leaving = living[0::40], living[1::80], living[2::80]
    with smtplib.SMTP("127.0.0.1", run.relay.port) as client:
        for address in away:
            client.sendmail("", [paths[address]], out_of_office(paths[address], address))
        for address in complaining:
            client.sendmail("", [paths[address]], complaint(paths[address]))
        for address in leaving:
            client.sendmail("", [paths[address]], apple(paths[address]))
    return {*complaining, *leaving}


def out_of_office(path: str, address: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = address, path
    message["Subject"] = "Out of office: This month with us"
    message["Auto-Submitted"] = "auto-replied"
    message.set_content("I am out of the office until Monday. For help ask the front desk.\n")
    return message.as_bytes()
