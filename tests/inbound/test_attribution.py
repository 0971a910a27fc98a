"""Where a relay rewrote the return path, our Message-ID tells whose report it is, if all fits."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.accounts.invitations import get_account
from belong_mail.contact.models import ContactMessage
from belong_mail.core import jobs
from belong_mail.core.db import now
from belong_mail.core.rate_limits import (
    LOOKUPS_PER_DAY,
    SAME_MESSAGE_REPORTS_RATE,
    WorkerLimit,
    remaining,
)
from belong_mail.delivery.mailer import SEALED_TO
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.inbound.attribution import MAX_MESSAGES
from belong_mail.members.models import Subscription
from tests.database import query
from tests.db_dump import Dump, kept_of
from tests.inbound.mail import UNKNOWN, report, several
from tests.inbound.scenario import ADA
from tests.markers import on_sqlite
from tests.servers.smtp import Accepted, drop

BEN = "ben@dpsk12.org"
REWRITTEN = "relay+bounce-4711@relay.example.net"


def head_of(copy) -> str:
    """Return the head of a message as a relay hands it back, its return path rewritten."""
    head = copy.data.decode().partition("\r\n\r\n")[0].replace("\r\n", "\n")
    return f"Return-Path: <{REWRITTEN}>\n{head}"


def message_id(copy) -> str:
    return str(copy.message["Message-ID"])


@dataclass
class Returned:
    """A report about a copy, as its parts may be changed by who forges one."""

    returned: str = ""
    named: tuple[str, ...] = (ADA,)
    answers: str = ""
    why: tuple[str, str] = UNKNOWN
    action: str = "failed"
    kind: str = "delivery-status"

    def write(self) -> bytes:
        answers = f"In-Reply-To: {self.answers}\n" if self.answers else ""
        about = {"returned": self.returned, "answers": answers}
        if self.kind == "delivery-status":
            return several(REWRITTEN, self.named, self.why, self.action, **about)
        fields = {"Feedback-Type": "abuse", "Version": "1", "Original-Rcpt-To": self.named[0]}
        return report(REWRITTEN, self.kind, fields, **about)


@pytest.fixture
def copy(scenario) -> Accepted:
    """Ada's copy of an issue that Ben got as well."""
    scenario.add(ADA, BEN)
    scenario.issue()
    return scenario.copies()[0]


def kept(scenario) -> Dump:
    """Read the database without what counts the reports that came."""
    dump = kept_of(scenario.services)
    return {table: rows for table, rows in dump.items() if table != "worker_limits"}


def states(scenario) -> list[str]:
    return query(scenario.services, select(Delivery.state).order_by(Delivery.id))


def bounces_of(scenario, days: tuple[float, ...], **forged: object) -> None:
    for day in days:
        scenario.pass_days(day)
        scenario.issue()
        copy = scenario.copies()[-1]
        given = {key: value(copy) if callable(value) else value for key, value in forged.items()}
        scenario.take("", Returned(**given).write())  # type: ignore[arg-type]


def test_an_address_that_does_not_exist_ends_its_membership_though_the_path_was_rewritten(scenario):
    scenario.add(ADA, BEN)
    bounces_of(scenario, (0, 7), returned=lambda _: head_of(scenario.copies()[-1]))
    assert scenario.members() == 1
    assert states(scenario).count(State.BOUNCED) == 2


@on_sqlite
@pytest.mark.parametrize("write", [str.upper, str.title], ids=["capitals", "a title"])
def test_an_address_is_the_same_in_other_letters(write, copy, scenario):
    spelt = write(ADA)
    scenario.take("", Returned(head_of(copy), (spelt,)).write())
    assert states(scenario).count(State.BOUNCED) == 1


@on_sqlite
def test_a_report_that_names_nobody_counts_for_the_messages_own_recipient(copy, scenario):
    text = f"From: MAILER-DAEMON@relay.example.net\nTo: {REWRITTEN}\nSubject: failure notice\n\n"
    text += "Your message could not be delivered: 550 5.1.1 User unknown\n\n"
    text += f"--- Below this line is a copy of the message.\n\n{head_of(copy)}\n\nHello\n"
    scenario.take("", text.encode())
    assert states(scenario).count(State.BOUNCED) == 1


@on_sqlite
@pytest.mark.parametrize("named", [(BEN,), (), ("ada@elsewhere.example.org",)])
def test_a_report_that_names_another_recipient_is_about_no_message_of_ours(named, copy, scenario):
    before = kept(scenario)
    returned = head_of(copy).replace(f"To: {ADA}", f"To: {BEN}")
    assert returned != head_of(copy)
    scenario.take("", Returned(returned, named).write())
    assert kept(scenario) == before


@on_sqlite
def test_guesses_are_not_tried_out_many_at_a_time(copy, scenario):
    before = kept(scenario)
    guesses = (f"guess{number}@dpsk12.org" for number in range(2))
    scenario.take("", Returned(head_of(copy), (*guesses, ADA)).write())
    assert kept(scenario) == before
    scenario.take("", Returned(head_of(copy), ("ada@elsewhere.example.org", ADA)).write())
    assert states(scenario).count(State.BOUNCED) == 1, "a mailbox and where it forwards to"


OFFICE = "dps-belong@example.org"


@pytest.mark.parametrize("column", ["subscription_id", "account_id", "sealed_to"])
def test_a_message_to_the_office_that_bounces_reveals_nobody_its_row_names(
    column, scenario, visitor
):
    """The web names somebody in a row whose email goes to a mailbox that it reads."""
    scenario.add(ADA)
    wrapped = scenario.keyring.opener.wrap(ADA.encode(), SEALED_TO, "")
    visitor.send("/contact", topic="concern", message="Hello.")
    with scenario.services.writing.begin() as session:
        account = get_account(session, scenario.keyring, ADA)
        session.flush()
        member = session.scalars(select(Subscription.id)).one()
        named = {"subscription_id": member, "account_id": account.id, "sealed_to": wrapped}
        forged = Delivery(kind="contact-message", **{column: named[column]})
        forged.about_id = session.scalars(select(ContactMessage.id)).one()
        session.add(forged)
    scenario.worker.drain()
    copy = scenario.copies(OFFICE)[-1]
    scenario.take("", Returned(head_of(copy), (ADA,)).write())
    assert State.BOUNCED not in states(scenario)
    scenario.take("", Returned(head_of(copy), (OFFICE,)).write())
    assert State.BOUNCED in states(scenario), "it is matched by whom was really written to"


def test_guesses_about_one_message_are_few_and_count_as_lookups(copy, scenario):
    before, burst = lookups_left(scenario), SAME_MESSAGE_REPORTS_RATE.burst
    for _ in range(burst):
        scenario.take("", Returned(head_of(copy), (BEN,)).write())
    assert before - lookups_left(scenario) == burst
    scenario.take("", Returned(head_of(copy)).write())
    assert states(scenario).count(State.BOUNCED) == 0
    assert before - lookups_left(scenario) == burst


def test_reports_without_our_return_path_are_a_thousand_a_day(copy, scenario):
    with scenario.services.writing.begin() as session:
        used_until = (now() + timedelta(days=1)).timestamp()
        session.add(WorkerLimit(key=b"reports", used_until=used_until))
    scenario.take("", Returned(head_of(copy)).write())
    assert states(scenario).count(State.BOUNCED) == 0


def test_made_up_message_ids_use_up_no_ones_lookups(copy, scenario):
    """Anyone writes a thousand into one email; sign-ups waited for minutes."""
    before = lookups_left(scenario)
    made_up = " ".join(f",b.{number:032x}@,b.{number:032d}@" * 20 for number in range(20))
    scenario.take("", Returned(answers=made_up).write())
    assert lookups_left(scenario) == before
    many = " ".join(message_id(each) for each in scenario.copies() * 2)
    scenario.take("", Returned(named=(), answers=many).write())
    assert lookups_left(scenario) == before
    nearest_last = " ".join([*(f"<b.{each:032x}@x>" for each in range(9)), message_id(copy)])
    scenario.take("", Returned(answers=nearest_last).write())
    assert states(scenario).count(State.BOUNCED) == 1
    for _ in range(MAX_MESSAGES):
        scenario.issue()
    before, many = lookups_left(scenario), " ".join(map(message_id, scenario.copies()))
    scenario.take("", Returned(named=(OFFICE,), answers=many).write())
    assert before - lookups_left(scenario) == MAX_MESSAGES


def lookups_left(scenario) -> int:
    """Return how many more addresses may be looked up today."""
    with scenario.services.reading.begin() as session:
        return remaining(session, jobs.DAY, LOOKUPS_PER_DAY, now(), WorkerLimit)


@on_sqlite
def test_a_message_id_seen_in_a_reply_to_a_newsletter_ends_no_membership(scenario):
    """They know the Message-ID and whose it was, not the way out in the message's head."""
    scenario.add(ADA, BEN)
    for returned in (lambda _: "", lambda copy: f"Message-ID: {message_id(copy)}\nTo: {ADA}"):
        bounces_of(
            scenario,
            (0, 7, 7),
            answers=lambda _: message_id(scenario.copies()[-1]),
            returned=lambda _, write=returned: write(scenario.copies()[-1]),
        )
    assert scenario.members() == 2
    assert states(scenario).count(State.BOUNCED) == 6, "the books say that they came back"


@on_sqlite
def test_one_members_unsubscribe_link_ends_no_other_membership(copy, scenario):
    """Ben knows his own link, and has seen the Message-ID of Ada's copy."""
    out = scenario.copies(BEN)[-1].message["List-Unsubscribe"]
    head = f"Message-ID: {message_id(copy)}\nTo: {ADA}\nList-Unsubscribe: {out}"
    for kind in ("feedback-report", "delivery-status"):
        scenario.take("", Returned(head, kind=kind).write())
    assert scenario.members() == 2


def test_the_key_that_signs_return_paths_makes_no_message_id(copy, scenario, services):
    """The web can: it would try out guesses while it reads the database."""
    keys, domain = services.settings.secret_keys, services.settings.mail_domain
    webs = VerpAddresses(keys, domain, keys[-1].encode()[:32])
    ids = query(services, select(Delivery.id))
    before = kept(scenario)
    for number in ids:
        forged = head_of(copy).replace(message_id(copy), webs.message_id(number, ADA))
        scenario.take("", Returned(forged).write())
    assert kept(scenario) == before


@on_sqlite
def test_a_complaint_with_a_rewritten_path_needs_the_unsubscribe_link_to_end_a_membership(
    copy, scenario
):
    without = f"Message-ID: {message_id(copy)}\nTo: {ADA}"
    for head, left in ((without, 2), (head_of(copy), 1)):
        scenario.take("", Returned(head, kind="feedback-report").write())
        assert scenario.members() == left


@on_sqlite
def test_a_delivery_that_was_uncertain_is_settled_by_its_message_id(scenario):
    scenario.relay.script("DOT", drop())
    scenario.one_copy()
    named = f"Message-ID: {message_id(scenario.copies()[0])}"
    scenario.take("", Returned(named, action="delivered").write())
    assert states(scenario) == [State.ACCEPTED]


@on_sqlite
def test_our_return_path_counts_before_any_message_id(copy, scenario):
    """Ben writes to his own return path, and names Ada's message."""
    bens = scenario.copies(BEN)[-1].return_path
    scenario.take(bens, Returned(head_of(copy)).write())
    [bounced] = query(scenario.services, select(Delivery).where(Delivery.state == State.BOUNCED))
    settings = scenario.services.settings
    assert VerpAddresses(settings.secret_keys, settings.mail_domain).read(bens) == bounced.id
