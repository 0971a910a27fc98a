"""The office ends its copies of newsletters after all were told, and says who else gets alerts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.core import audit
from belong_mail.core.audit import AuditEntry
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.core.site_settings import SiteSetting
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery
from belong_mail.newsletters import service as newsletters
from belong_mail.office import alert_address
from belong_mail.office.settings_tasks import alert_address as address_of
from belong_mail.office.settings_tasks import apply_changes
from belong_mail.worker.loop import Worker, make_worker
from tests.browser_client import Form, Visitor, html_of, link_to, text_of
from tests.factories import group_named
from tests.markers import on_both
from tests.office.conftest import OFFICE
from tests.servers.smtp import Server

INBOX, OPERATOR, ALSO = "inbox@dpsk12.org", "operator@example.org", "tess@dpsk12.org"
COPIES, ALERTS = "/office/settings/copies", "/office/settings/alerts"
ENDING = "Copies of newsletters are about to end"
SET = {
    "BELONG_CONTACT_INBOX": INBOX,
    "BELONG_ALERT_ADDRESS": OPERATOR,
    "BELONG_COPY_TO_OFFICE": "yes",
}


@pytest.fixture
def settings() -> dict[str, str]:
    return dict(SET)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(now(), tick=True) as traveller:
        yield traveller


def later(worker: Worker, clock: time_machine.Traveller, **passed: float) -> None:
    """Let time pass, and the worker do what is due then; chores are done each minute."""
    clock.shift(timedelta(**passed))
    worker.drain()
    worker.drain()


def choose(office: Visitor, worker: Worker, relay: Server, copies: str) -> None:
    """Sign in, for sessions end while days pass, and choose whether copies are made."""
    office.send("/sign-in", email=OFFICE)
    worker.drain()
    office.press(link_to(relay.to(OFFICE)[-1], "sign-in"))
    assert office.send(COPIES, copies=copies).status_code == 303


def count(relay: Server, address: str, subject: str = ENDING) -> int:
    return sum(str(mail["Subject"]) == subject for mail in relay.to(address))


def is_copied(services: Services, worker: Worker, relay: Server) -> bool:
    """Tell whether the inbox gets a copy of what goes out now."""
    before = count(relay, INBOX, "Tea")
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "asian"), "Tea", "Come.")
        newsletters.schedule(issue, now() - timedelta(seconds=1))
    worker.drain()
    return count(relay, INBOX, "Tea") > before


def test_copies_end_three_days_after_everyone_who_would_miss_them_was_told(
    office: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
    clock: time_machine.Traveller,
) -> None:
    assert office.send(COPIES, copies="no").status_code == 303
    assert "Copies end three days after everyone was told." in office.open(COPIES).text
    later(worker, clock, minutes=2)
    assert [count(relay, each) for each in (INBOX, OPERATOR, OFFICE)] == [1, 1, 1]
    [told] = [mail for mail in relay.to(INBOX) if mail["Subject"] == ENDING]
    for body in (text_of(told), html_of(told)):
        assert "inbox gets no copy" in body
        assert COPIES in body
    assert "Copies end on" in office.open(COPIES).text
    assert "Until" in office.open("/office/settings").text
    later(worker, clock, hours=71)
    assert is_copied(services, worker, relay)
    later(worker, clock, hours=1)
    assert not is_copied(services, worker, relay)
    assert [count(relay, each) for each in (INBOX, OPERATOR, OFFICE)] == [1, 1, 1]


def test_a_colleague_keeps_the_copies_and_whoever_ends_them_again_waits_anew(
    office: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
    clock: time_machine.Traveller,
) -> None:
    office.send(COPIES, copies="no")
    later(worker, clock, minutes=2)
    later(worker, clock, hours=70)
    choose(office, worker, relay, "yes")
    later(worker, clock, minutes=2)
    choose(office, worker, relay, "no")
    later(worker, clock, minutes=2)
    assert count(relay, INBOX) == 2
    later(worker, clock, hours=70)
    assert is_copied(services, worker, relay)
    later(worker, clock, hours=3)
    assert not is_copied(services, worker, relay)


def test_a_choice_that_was_taken_back_and_made_again_unseen_is_told_again(
    office: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
    clock: time_machine.Traveller,
) -> None:
    """Within a minute, before the worker looks: the trail alone has seen it."""
    office.send(COPIES, copies="no")
    later(worker, clock, minutes=2)
    clock.shift(timedelta(hours=70))
    with services.writing.begin() as session:
        changed = audit.Kind.SETTING_CHANGED
        taken_back = AuditEntry(at=now(), kind=changed, role="account", detail="copy_to_office")
        session.add(taken_back)
    later(worker, clock, hours=3)
    assert count(relay, INBOX) == 2
    assert is_copied(services, worker, relay)
    later(worker, clock, hours=73)
    assert not is_copied(services, worker, relay)


def test_that_copies_are_wanted_counts_at_once(
    office: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    office.send(COPIES, copies="no")
    office.send(COPIES, copies="yes")
    assert is_copied(services, worker, relay)
    assert count(relay, INBOX) == 0


@pytest.mark.parametrize("settings", [{**SET, "BELONG_COPY_TO_OFFICE": "no"}])
def test_what_the_environment_says_counts_until_the_office_chooses(
    office: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
    clock: time_machine.Traveller,
) -> None:
    assert not is_copied(services, worker, relay)
    office.send(COPIES, copies="yes")
    later(worker, clock, minutes=2)
    assert is_copied(services, worker, relay)
    with services.writing.begin() as session:
        session.execute(update(SiteSetting).values(value=None))
    later(worker, clock, minutes=2)
    assert count(relay, INBOX) == 1
    assert is_copied(services, worker, relay)


def test_whoever_writes_rows_neither_ends_copies_sooner_nor_fills_inboxes(
    services: Services, worker: Worker, relay: Server, clock: time_machine.Traveller
) -> None:
    ago = now() - timedelta(days=9)
    with services.writing.begin() as session:
        row = SiteSetting(name="copy_to_office", value="no", changed_at=ago)
        row.announced, row.announced_at, row.wrapped = "no", ago, b"forged"
        session.add(row)
    assert is_copied(services, worker, relay)
    for _turn in range(8):
        with services.writing.begin() as session:
            session.execute(update(SiteSetting).values(wrapped=None))
        later(worker, clock, minutes=2)
    assert 1 <= count(relay, INBOX) <= 5
    assert is_copied(services, worker, relay)


def set_row(services: Services, value: str) -> None:
    """Choose as who breaks into the web does: without an entry in the trail."""
    with services.writing.begin() as session:
        row = session.get(SiteSetting, "copy_to_office") or SiteSetting(name="copy_to_office")
        row.value = value
        session.add(row)


@contextmanager
def row_locked(services: Services) -> Iterator[None]:
    """Keep the row from others; SQLite has no such locks."""
    row = select(SiteSetting.name).where(SiteSetting.name == "copy_to_office")
    with services.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(row.with_for_update())
        yield


def test_a_choice_that_flips_until_the_emails_have_left_withdraws_none(
    office: Visitor,
    services: Services,
    worker: Worker,
    relay: Server,
    clock: time_machine.Traveller,
) -> None:
    assert office.open(COPIES).status_code == 200
    set_row(services, "no")
    with services.writing.begin() as session:
        apply_changes(session, worker._mailer)
    set_row(services, "yes")
    worker.drain()
    set_row(services, "no")
    assert [count(relay, each) for each in (INBOX, OPERATOR, OFFICE)] == [1, 1, 1]
    later(worker, clock, minutes=2)
    assert is_copied(services, worker, relay)
    later(worker, clock, hours=73)
    assert not is_copied(services, worker, relay)
    assert count(relay, INBOX) == 1


@on_both("locks")
def test_who_locks_the_row_does_not_keep_what_was_told_of_it(
    services: Services, worker: Worker, relay: Server, clock: time_machine.Traveller
) -> None:
    set_row(services, "no")
    later(worker, clock, minutes=2)
    assert count(relay, INBOX) == 1
    set_row(services, "yes")
    with row_locked(services):
        later(worker, clock, minutes=2)
        later(worker, clock, minutes=2)
    set_row(services, "no")
    later(worker, clock, hours=71)
    assert count(relay, INBOX) == 2
    later(worker, clock, hours=2)
    assert is_copied(services, worker, relay)
    with services.reading.begin() as session:
        roles = select(AuditEntry.role).where(AuditEntry.kind == audit.Kind.SETTING_CHANGED)
        assert session.scalars(roles).all() == ["worker"]


def alarmed(services: Services, keyring: Keyring, relay: Server) -> list[str]:
    """Have email wait for long, and list who is told."""
    with services.writing.begin() as session:
        later_on, to = now() + timedelta(hours=1), services.seal_to_office()
        outbox.post(session, "canary", sealed_to=to, due_at=later_on)
        late = update(Delivery).where(Delivery.kind == "canary")
        session.execute(late.values(created_at=now() - timedelta(minutes=20)))
    worker = make_worker(services, keyring)
    with time_machine.travel(now() + timedelta(minutes=2), tick=True):
        worker.drain()
        worker.drain()
    worker.engine.close()
    with services.reading.begin() as session:
        told = select(Delivery.id).where(Delivery.kind == "alert-operator")
        number = len(session.scalars(told).all())
    found = sorted(
        one.recipient
        for one in relay.accepted
        if "waiting for more than 15 minutes" in text_of(one.message)
    )
    assert number == len(found)
    return found


def test_alerts_also_go_to_whom_the_office_names_and_always_to_the_operator(
    office: Visitor, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    assert office.send(ALERTS, email="tess@example.org").status_code == 422
    assert office.send(ALERTS, email=ALSO).status_code == 303
    worker.drain()
    [told] = relay.to(ALSO)
    assert "alerts also come to you" in text_of(told)
    page = office.open(ALERTS).text
    assert "Someone does since" in page
    assert ALSO not in page
    assert "Someone, since" in office.open("/office/settings").text
    assert alarmed(services, keyring, relay) == [OPERATOR, ALSO]
    assert "asked that alerts also come to you" in text_of(relay.to(ALSO)[-1])
    for address in (OPERATOR, ALSO):
        assert "DPS Belong" in text_of(relay.to(address)[-1]).splitlines()


def test_who_gets_alerts_no_more_hears_of_it_from_the_worker(
    office: Visitor, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    office.send(ALERTS, email=ALSO)
    worker.drain()
    office.send(ALERTS, email="uma@dpsk12.org")
    worker.drain()
    assert "not come to this address anymore" in text_of(relay.to(ALSO)[-1])
    token = Form(office.open(ALERTS).text).fields["csrf_token"]
    assert office.press(f"{ALERTS}/remove", csrf_token=token).status_code == 303
    worker.drain()
    assert "not come to this address anymore" in text_of(relay.to("uma@dpsk12.org")[-1])
    assert "No one else does now." in office.open(ALERTS).text
    assert sum("Settings" in str(mail["Subject"]) for mail in relay.to(OFFICE)) == 3
    with services.reading.begin() as session:
        assert address_of(session, keyring.opener) == ""
    assert alarmed(services, keyring, relay) == [OPERATOR]


def test_no_one_outside_the_district_and_no_row_of_the_webs_gets_alerts(
    services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> None:
    with services.writing.begin() as session:
        alert_address.ask(session, services.sealer, "eve@example.org")
    worker.drain()
    assert relay.to("eve@example.org") == []
    sealed = services.sealer.seal(b"eve@dpsk12.org", "site_settings.wrapped")
    with services.writing.begin() as session:
        session.add(SiteSetting(name="alert_address", value="eve@dpsk12.org", wrapped=sealed))
    assert alarmed(services, keyring, relay) == [OPERATOR]


def test_the_address_is_nowhere_in_the_clear_and_the_trail_names_the_setting_alone(
    office: Visitor, services: Services
) -> None:
    office.send(ALERTS, email=ALSO)
    with services.reading.begin() as session:
        [job] = session.scalars(select(Job).where(Job.kind == "alert-address"))
        assert ALSO.encode() not in (job.sealed or b"")
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.kind == "setting changed"))
        assert entry.detail == "alert_address"
