"""A list moves in: each person on it is asked once; of those who do not join, nothing is kept."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.core import audit
from belong_mail.core.db import now
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.delivery.models import Delivery, State
from belong_mail.inbound.bounces import breaker_until
from belong_mail.members import erasure, imports
from belong_mail.members.address_list import AddressList
from belong_mail.members.import_tasks import INVITED, INVITED_AGAIN, MAX_FAILURES
from belong_mail.members.imports import ASKED_TODAY, BATCH_COLUMN, BATCH_SIZE, ImportBatch
from tests.browser_client import html_of, link_to, text_of
from tests.canary import found_in
from tests.db_dump import dump_of, trail
from tests.factories import group_named
from tests.inbound.mail import complaint, hand_back
from tests.markers import on_both, on_sqlite
from tests.monitoring.looking import wrong_names
from tests.privacy.journey import CANARY, cells_of
from tests.scenario import ADA, VILLAGE

ASKED = "Do you want to stay on an email list of DPS Belong?"
REMINDED = "One day left to stay on an email list of DPS Belong"
# States that no longer name anybody: the record of single emails, which is kept for 30 days, and
# who works when.
RECORDS = {
    "deliveries", "hosts", "leases", "sent_per_minutes", "audit_entries", "imports", "limits",
    "worker_limits", "figures",
}  # fmt: skip


@pytest.fixture
def bring(cli, tmp_path):
    def run(content: bytes | str, *options: str, slug: str = VILLAGE):
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return cli.invoke(args=["import", str(file), "--group", slug, *options])

    return run


def deliveries(scenario, kind: str = INVITED) -> list[Any]:
    rows = dump_of(scenario.services)["deliveries"]
    return [row for row in rows if row[1] == kind]


def minutes(scenario, number: int) -> None:
    """Let the worker work for so many minutes, each of them in a moment."""
    start = now()
    for each in range(number):
        with time_machine.travel(start + timedelta(minutes=each), tick=True):
            scenario.worker.drain()


@pytest.fixture
def later():
    with time_machine.travel(now(), tick=True) as clock:
        yield clock.shift


@on_both("claims")
def test_each_person_gets_one_email_and_is_a_member_when_they_say_yes(scenario, bring):
    said = bring(f"Email address\n{ADA}\nbob@dpsk12.org\n{ADA.upper()}\nx@gmail.com\n")
    assert said.exit_code == 0
    [mail] = scenario.mails()
    assert mail["Subject"] == ASKED
    for part in (text_of(mail), html_of(mail)):
        assert "The DPS Belong office is moving the email list of" in part
        assert "The Village Belong Group" in part
        assert "If you haven’t joined in three days, we delete your address." in part
    assert "Village" not in str(mail["Subject"])
    assert not scenario.is_member()
    assert "Join The Village Belong Group?" in scenario.visitor.open(link_to(mail, "confirm")).text
    assert not scenario.is_member()
    assert scenario.visitor.follow(link_to(mail, "confirm")).status_code == 200
    assert scenario.subjects() == [ASKED, "Welcome! You’re in."]
    assert scenario.is_member()
    assert scenario.subjects("bob@dpsk12.org") == [ASKED]
    assert not scenario.is_member("bob@dpsk12.org")
    assert scenario.mails("x@gmail.com") == []


def test_the_command_says_what_is_in_a_file_and_prints_no_address(scenario, bring):
    content = f"Members for group v@dpsk12.org\nEmail address\n{CANARY}\n{ADA}\nx@gmail.com\n\noops"
    content += f"\n{CANARY.upper()}\n"
    before = dump_of(scenario.services)
    dry = bring(content, "--dry-run")
    assert dry.exit_code == 0
    assert "Addresses are in column A." in dry.output
    assert "To be asked: 2." in dry.output
    assert "Rows with an address of an earlier row: 1." in dry.output
    assert "Rows with an address that is not staff: 1 (5)." in dry.output
    assert "Rows that cannot be read: 1 (7)." in dry.output
    assert "No one was asked: this was a dry run." in dry.output
    changed = {table for table, rows in dump_of(scenario.services).items() if rows != before[table]}
    assert changed <= {"audit_entries"}
    real = bring(content)
    assert "To be asked: 2." in real.output
    assert "Another file waits already." in bring(content).output
    for output in (dry.output, real.output):
        assert "Our email list is moving" in output
        assert "Nuestra lista de correo se muda" in output
        assert "/groups/the-village/join" in output
        assert ASKED in output
        assert found_in(output.encode(), [CANARY, ADA, "gmail"]) == []


@on_both("transactions")
def test_a_dry_run_says_the_same_whether_or_not_somebody_is_a_member(scenario, bring):
    first = bring(ADA, "--dry-run").output
    scenario.enter()
    assert bring(ADA, "--dry-run").output == first
    assert bring(ADA).exit_code == 0
    assert scenario.subjects()[-1] == "Welcome! You’re in."


def test_an_import_asks_no_known_or_suppressed_address(scenario, bring, later):
    names = "member", "left", "never", "waits", "gone", "new"
    people = {each: f"{each}@dpsk12.org" for each in names}
    keys = scenario.keyring
    scenario.do(erasure.start_erasure, keys.opener, keys.index, people["gone"], set())
    scenario.enter(people["member"])
    scenario.visitor.press(link_to(scenario.enter(people["left"]), "leave"))
    scenario.visitor.press(link_to(scenario.ask(people["never"]), "not-me"), choice="never")
    scenario.ask(people["waits"])
    scenario.worker.drain()
    tagged = [f"{name}+list@dpsk12.org" for name in ("member", "never", "other")]
    for some in (people.values(), tagged):
        bring("\n".join(some))
        later(timedelta(minutes=2))
        scenario.worker.drain()
    bring(tagged[1], slug="asian")
    scenario.worker.drain()
    asked = {name for name, each in people.items() if ASKED in scenario.subjects(each)}
    assert asked == {"new"}, "a tag gets round no wish"
    assert scenario.subjects("other@dpsk12.org") == [ASKED]


def test_a_file_that_is_imported_twice_asks_nobody_twice_for_three_days(scenario, bring, later):
    refused = "eve@dpsk12.org"
    for _ in range(2):
        bring(f"{ADA}\n{refused}")
        scenario.worker.drain()
    scenario.visitor.press(link_to(scenario.mails(refused)[0], "not-me"))
    later(timedelta(hours=2))
    scenario.worker.drain()
    bring(f"ada+tag@dpsk12.org\n{ADA}\n{refused}")
    assert scenario.subjects() == scenario.subjects(refused) == [ASKED]
    later(timedelta(hours=73))
    scenario.worker.drain()
    bring(ADA)
    assert scenario.subjects()[-1] == ASKED
    assert len(scenario.subjects()) == 2


def test_an_import_uses_no_sign_up_limit_and_reminds_no_member_or_bounced_address(
    scenario, bring, later
):
    bring(f"{ADA}\nbob@dpsk12.org")
    assert scenario.subjects() == [ASKED]
    assert dump_of(scenario.services)["limits"] == []
    link = scenario.confirm_link()
    assert scenario.visitor.follow(link).status_code == 200
    assert scenario.is_member()
    with scenario.services.writing.begin() as session:
        bobs = select(Delivery).where(Delivery.kind == INVITED).order_by(Delivery.id.desc())
        session.scalars(bobs).all()[0].state = State.BOUNCED
    later(timedelta(hours=49))
    for person in (ADA, "bob@dpsk12.org"):
        assert REMINDED not in scenario.subjects(person), "one is in, one’s email came back"
    later(timedelta(hours=30))
    scenario.worker.drain()
    assert scenario.is_member()


def test_nothing_of_a_person_who_does_not_answer_is_left_after_three_days(scenario, bring, later):
    scenario.enter("bob@dpsk12.org")
    minutes(scenario, 1)
    before = _without_records(dump_of(scenario.services))
    bring(f"{CANARY}\n{ADA}")
    seen = [dump_of(scenario.services)]
    scenario.worker.drain()
    seen.append(dump_of(scenario.services))
    [mail] = scenario.mails(CANARY)
    link, not_me = link_to(mail, "confirm"), link_to(mail, "not-me")
    assert "Your address was on the email list" in scenario.visitor.open(not_me).text
    later(timedelta(hours=47))
    assert scenario.subjects(CANARY) == [ASKED]
    later(timedelta(hours=1, minutes=2))
    begun = now().timestamp()
    assert scenario.subjects(CANARY) == [ASKED, REMINDED]
    [used] = scenario.query(select(WorkerLimit.used_until).where(WorkerLimit.key == ASKED_TODAY))
    assert used > begun, "a reminder counts within the day"
    again = scenario.mails(CANARY)[1]
    assert "This is the only reminder." in text_of(again)
    for page in ("confirm", "not-me"):
        assert scenario.visitor.open(link_to(again, page)).status_code == 200
    seen.append(dump_of(scenario.services))
    later(timedelta(hours=20))
    scenario.worker.drain()
    later(timedelta(hours=4))
    assert scenario.subjects(CANARY) == [ASKED, REMINDED]
    later(timedelta(minutes=2))
    scenario.worker.drain()
    after = dump_of(scenario.services)
    assert _without_records(after) == before
    assert after["worker_limits"] == after["import_batches"] == []
    assert all(row[3] is None for row in after["deliveries"] if row[1] in (INVITED, INVITED_AGAIN))
    assert scenario.visitor.press(link).status_code == 410
    assert scenario.visitor.open(not_me).status_code == 410
    rows = b"\n".join(cells_of([*seen, after]))
    assert found_in(rows, [CANARY, CANARY.partition("@")[0]]) == []


def _without_records(dump):
    return {table: rows for table, rows in dump.items() if table not in RECORDS}


def test_awaited_email_and_the_relays_daily_limit_come_before_an_import(scenario, bring):
    bring("\n".join(f"p{each}@dpsk12.org" for each in range(150)))
    [entry] = trail(scenario.services, audit.Kind.IMPORTED)
    assert (entry.group_slug, entry.role) == (VILLAGE, audit.Role.OPERATOR)
    assert entry.detail == "about-150"
    assert "asked_of_lists" not in wrong_names(scenario.services)
    with time_machine.travel(now(), tick=False):
        scenario.worker.drain()
        assert len(deliveries(scenario)) == 60
        assert "asked_of_lists" in wrong_names(scenario.services)
    assert scenario.ask()["Subject"] == "Confirm your request to DPS Belong"
    assert len(deliveries(scenario)) < 150
    minutes(scenario, 4)
    assert len(deliveries(scenario)) == 150


@pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "80"}])
def test_a_day_of_the_relay_is_at_most_half_for_an_import(scenario, bring):
    bring("\n".join(f"p{each}@dpsk12.org" for each in range(60)))
    minutes(scenario, 3)
    assert len(deliveries(scenario)) == 20
    assert scenario.ask()["Subject"] == "Confirm your request to DPS Belong"


def test_nobody_is_asked_to_join_a_group_that_nobody_can_join(scenario, bring):
    said = bring(ADA, slug="autoimmune")
    assert said.exit_code == 1
    assert "No one can join autoimmune now." in said.output
    assert bring(ADA, slug="nowhere").exit_code == 2
    assert scenario.rows("imports") == 0
    assert bring("PK\x03\x04").exit_code == 1
    assert "save it as comma-separated values" in bring("PK\x03\x04").output


def forge(scenario, slug: str, sealed_slug: str, addresses: list[str], **marks: Any) -> None:
    """Store a file whose batch is sealed, and marked, as an intruder in the web would."""
    with scenario.services.writing.begin() as session:
        group, other = group_named(session, slug), group_named(session, sealed_slug)
        sealer = scenario.services.sealer
        made = imports.store(session, sealer, group, AddressList([ADA]), "en")
        made.started_at = marks.pop("started_at", now())
        said = {"group": other.public_id, "language": "en", "addresses": addresses}
        sealed = sealer.seal(json.dumps(said).encode(), BATCH_COLUMN)
        which = update(ImportBatch).where(ImportBatch.import_id == made.id)
        session.execute(which.values(sealed=sealed, **marks))


def test_a_batch_that_the_worker_did_not_expect_asks_nobody(scenario):
    """An intruder seals one for another group, a large one, a stranger, or starts none."""
    forge(scenario, "women-of-color", "women-of-color", [ADA], started_at=None)
    many = [f"p{each}@dpsk12.org" for each in range(BATCH_SIZE + 1)]
    forge(scenario, VILLAGE, VILLAGE, many)
    forge(scenario, "lgbtq", "asian", [ADA])
    forge(scenario, "asian", "asian", ["eve@example.org"])
    scenario.worker.drain()
    assert deliveries(scenario) == []
    assert scenario.rows("subscriptions") == 0


@pytest.mark.parametrize("kind", [INVITED, INVITED_AGAIN])
@on_sqlite
def test_an_address_that_complains_about_an_invitation_is_never_asked_again(
    kind, scenario, bring, later
):
    bring(ADA)
    scenario.worker.drain()
    if kind == INVITED_AGAIN:
        later(timedelta(hours=49))
        scenario.worker.drain()
    before = len(scenario.mails())
    asked = [each for each in scenario.relay.accepted if each.recipient == ADA][-1]
    written = complaint(asked.return_path, message_id=asked.message["Message-ID"])
    hand_back(scenario.services, asked.return_path, written)
    scenario.worker.drain()
    later(timedelta(days=9))
    scenario.worker.drain()
    bring(ADA)
    bring(ADA, slug="asian")
    scenario.visitor.join("asian", ADA)
    scenario.worker.drain()
    assert len(scenario.mails()) == before == (2 if kind == INVITED_AGAIN else 1)


@on_sqlite
def test_imports_of_many_groups_ask_a_person_three_times_at_most(scenario, bring):
    for slug in (VILLAGE, "lgbtq", "asian", "women-of-color"):
        assert bring(ADA, slug=slug).exit_code == 0
        scenario.worker.drain()
    assert len(deliveries(scenario)) == 3


@on_sqlite
@pytest.mark.parametrize("addresses", [[], [ADA] * (BATCH_SIZE + 1)])
def test_a_batch_is_left_after_three_times_whatever_the_web_counted(addresses, scenario, caplog):
    forge(scenario, VILLAGE, VILLAGE, addresses, failures=-30)
    scenario.worker.drain()
    assert scenario.query(select(ImportBatch.failures)) == [MAX_FAILURES]
    assert caplog.text.count("cannot be read: DecryptionError") == MAX_FAILURES


@on_sqlite
def test_mistyped_addresses_of_a_list_open_no_breaker(scenario, bring):
    scenario.relay.always("RCPT", "550 5.1.1 User unknown")
    bring("\n".join(f"p{each}@dpsk12.org" for each in range(50)))
    scenario.worker.drain()
    with scenario.services.reading.begin() as session:
        assert session.scalars(select(Delivery.state)).first() == State.BOUNCED
        assert breaker_until(session, now()) is None
