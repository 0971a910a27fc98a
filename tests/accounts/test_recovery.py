"""Whoever lost their passkey recovers the account by its mailbox, a day after others have heard."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from belong_mail.accounts import recovery
from belong_mail.accounts.models import Account, Passkey, Recovery, SignIn
from belong_mail.accounts.recovery import LET_IN, RECOVERED, STARTED, WAIT
from belong_mail.accounts.service import PROOF as PROOF_LINK
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.rate_limits import RECOVERIES_RATE, RECOVERY_RATE, WorkerLimit, record_use
from belong_mail.core.retention import RECOVERY_AGE
from belong_mail.core.services import Services
from belong_mail.core.tokens import BadToken
from belong_mail.delivery import outbox
from belong_mail.worker.loop import Worker
from tests.accounts.test_passkeys import LEAD, add, count, is_in, sign_in_by, trail
from tests.browser_client import Form, Visitor, link_to, text_of
from tests.clients import sign_in, sign_in_office
from tests.servers.authenticator import Authenticator
from tests.servers.smtp import Server

COLLEAGUE, ELSEWHERE, OFFICE = "colleague@dpsk12.org", "else@dpsk12.org", "office@dpsk12.org"
PROOF = "/account/proof"
RECOVERY_PAGE = "/sign-in/recovery?lang=en"
SOON = timedelta(seconds=2)


@pytest.fixture
def office(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    """Somebody of the office is signed in, a colleague of the lead, and one of another group."""
    sign_in(app, services, keyring, worker, relay, "the-village", COLLEAGUE)
    sign_in(app, services, keyring, worker, relay, "asian", ELSEWHERE)
    return sign_in_office(app, services, keyring, worker, relay, OFFICE)


@pytest.fixture
def device() -> Authenticator:
    return Authenticator()


@pytest.fixture
def owner(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server,
    device: Authenticator,
) -> Visitor:  # fmt: skip
    """A lead whose device has a passkey here."""
    lead = sign_in(app, services, keyring, worker, relay, "the-village")
    add(lead, device)
    worker.drain()
    return lead


@pytest.fixture
def thief(app: Flask) -> Visitor:
    """Whoever reads the lead's email, in a browser of their own."""
    return Visitor(app.test_client())


def link(browser: Visitor, worker: Worker, relay: Server) -> str:
    """Have a sign-in link emailed, and return it."""
    assert browser.send("/sign-in", email=LEAD).location == "/sign-in/sent"
    worker.drain()
    return link_to(relay.to(LEAD)[-1], "sign-in")


def press(browser: Visitor, worker: Worker, relay: Server) -> TestResponse:
    """Ask for a link and press its button."""
    return browser.press(link(browser, worker, relay))


def begin(browser: Visitor, worker: Worker, relay: Server) -> None:
    """Say that the passkey is lost."""
    assert press(browser, worker, relay).location == RECOVERY_PAGE
    worker.drain()


def subjects(relay: Server, address: str) -> list[str]:
    return [str(each["Subject"]) for each in relay.to(address) if "passkey" in each["Subject"]]


def test_a_mailbox_alone_signs_nobody_in_and_others_hear_of_it(
    office: Visitor, owner: Visitor, thief: Visitor, services: Services, worker: Worker,
    relay: Server,
) -> None:  # fmt: skip
    url = link(thief, worker, relay)
    assert "This account uses a passkey" in thief.open(url).text
    given = thief.press(url)
    assert given.location == RECOVERY_PAGE
    page = thief.open(given.location).text
    assert "nothing has begun" in page
    assert "Seven days" in page
    assert thief.press(url).status_code == 404, "the link is used up"
    worker.drain()
    assert not is_in(thief)
    assert is_in(owner)
    assert is_in(office)
    assert subjects(relay, LEAD)[-1] == "Did you lose your passkey?"
    for address in (COLLEAGUE, OFFICE):
        assert subjects(relay, address) == ["Someone asks to sign in without their passkey"]
        assert "in person or by phone" in text_of(relay.to(address)[-1])
        assert "stop-recovery" not in text_of(relay.to(address)[-1])
    assert subjects(relay, ELSEWHERE) == []
    assert trail(services, Kind.RECOVERY_ASKED) == [None]
    assert trail(services, Kind.RECOVERY_STARTED) == [None]


@pytest.mark.usefixtures("office")
def test_after_a_day_a_new_link_removes_the_passkey_and_signs_in(
    owner: Visitor, device: Authenticator, app: Flask, services: Services, worker: Worker,
    relay: Server,
) -> None:  # fmt: skip
    phone = Visitor(app.test_client())
    begin(phone, worker, relay)
    begun = now()
    with time_machine.travel(begun + WAIT - timedelta(minutes=1)):
        given = press(phone, worker, relay)
        assert given.status_code == 403
        assert "Please wait until a day has passed" in given.text
        assert not is_in(phone)
    with time_machine.travel(begun + WAIT + SOON):
        assert press(phone, worker, relay).location == "/lead/?lang=en"
        assert is_in(phone)
        assert not is_in(owner)
        assert count(services) == 0
        assert sign_in_by(Visitor(app.test_client()), device).status_code == 403
        worker.drain()
        assert relay.to(LEAD)[-1]["Subject"] == "You sign in by email again"
        for address in (COLLEAGUE, OFFICE):
            assert relay.to(address)[-1]["Subject"] == "Someone signs in by email again"
        assert "Sign in without email" in phone.open("/lead/").text
        assert add(phone, Authenticator()).status_code == 303
    assert trail(services, Kind.RECOVERED) == [None]


@pytest.mark.usefixtures("office", "owner")
def test_whoever_recovers_and_adds_a_passkey_at_once_is_told_of(
    thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    begin(thief, worker, relay)
    with time_machine.travel(now() + WAIT + SOON):
        assert press(thief, worker, relay).location == "/lead/?lang=en"
        assert add(thief, Authenticator()).status_code == 303
        worker.drain()
        [told] = [m for m in relay.to(LEAD) if m["Subject"] == "You sign in by email again"]
        assert "you’re signed out everywhere else" in text_of(told)
        for address in (COLLEAGUE, OFFICE):
            assert relay.to(address)[-1]["Subject"] == "Someone signs in by email again"
    with services.reading.begin() as session:
        assert session.scalars(select(Recovery)).all() == []


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(
    "times",
    [
        [],
        [{"started_at": WAIT - timedelta(minutes=1)}],
        [{"started_at": RECOVERY_AGE + SOON}],
        [{"started_at": WAIT + SOON, "used_at": SOON}],
    ],
    ids=["stopped", "too early", "over", "used"],
)
def test_a_recovery_is_taken_in_its_days_and_once(
    times: list[dict[str, timedelta]], services: Services
) -> None:
    """Whatever was so when the link was opened, it is looked at again as it is used."""
    with services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        for ago in times:
            at = {name: now() - time for name, time in ago.items()}
            session.add(Recovery(account_id=account.id, **at))
        session.flush()
        with pytest.raises(BadToken):
            recovery.recover(session, services.sealer, account)
    assert count(services) == 1


@pytest.mark.usefixtures("owner")
def test_whoever_signs_in_with_the_passkey_has_not_lost_it(
    thief: Visitor, device: Authenticator, app: Flask, services: Services, worker: Worker,
    relay: Server,
) -> None:  # fmt: skip
    begin(thief, worker, relay)
    assert sign_in_by(Visitor(app.test_client()), device).status_code == 303
    assert trail(services, Kind.RECOVERY_STOPPED) == [None]
    with time_machine.travel(now() + WAIT + SOON):
        assert press(thief, worker, relay).location == RECOVERY_PAGE
        assert not is_in(thief)


@pytest.mark.parametrize("what", ["add", "remove", "prove"])
def test_whoever_changes_or_uses_their_passkeys_has_not_lost_them(
    what: str, owner: Visitor, thief: Visitor, device: Authenticator, services: Services,
    worker: Worker, relay: Server,
) -> None:  # fmt: skip
    add(owner, Authenticator())
    worker.drain()
    begin(thief, worker, relay)
    if what == "add":
        assert add(owner, Authenticator()).status_code == 303
    elif what == "remove":
        assert owner.send("/account/passkeys").status_code == 303
    else:
        token = Form(owner.open("/lead/").text).fields["csrf_token"]
        answer = device.get(owner.press(f"{PROOF}/passkey", csrf_token=token).json or {})
        given = owner.press(f"{PROOF}/passkey/finish", csrf_token=token, answer=answer)
        assert given.location == PROOF
    assert trail(services, Kind.RECOVERY_STOPPED) == [None]
    with services.reading.begin() as session:
        assert session.scalars(select(Recovery)).all() == []


@pytest.mark.usefixtures("owner")
def test_no_recovery_ripens_while_an_account_is_suspended(
    office: Visitor, thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    begin(thief, worker, relay)
    page = f"/office/leads/{public_id(services)}"
    token = Form(office.open(page).text).fields["csrf_token"]
    for verb in ("suspend", "lift"):
        assert office.press(f"{page}/{verb}", csrf_token=token).status_code == 303
        worker.drain()
    with time_machine.travel(now() + WAIT + SOON):
        assert press(thief, worker, relay).location == RECOVERY_PAGE
        assert not is_in(thief)
    assert count(services) == 1


@pytest.mark.usefixtures("owner")
def test_the_owner_stops_what_was_not_them(
    thief: Visitor, visitor: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    begin(thief, worker, relay)
    url = link_to(relay.to(LEAD)[-1], "stop-recovery")
    assert "It wasn’t me" in visitor.open(url).text
    assert trail(services, Kind.RECOVERY_STOPPED) == []
    assert "Change its password now" in visitor.press(url).text
    assert trail(services, Kind.RECOVERY_STOPPED) == [None]
    assert visitor.press(url).status_code == 404
    with time_machine.travel(now() + WAIT + SOON):
        assert press(thief, worker, relay).location == RECOVERY_PAGE
        assert not is_in(thief)


@pytest.mark.usefixtures("owner")
def test_a_recovery_that_nobody_used_is_over_after_a_week(
    thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    """Also where the worker has not deleted it yet."""
    begin(thief, worker, relay)
    with time_machine.travel(now() + RECOVERY_AGE + SOON):
        url = link(thief, worker, relay)
        with services.writing.begin() as session:
            assert session.scalars(select(Recovery)).all() == []
            owner = session.scalars(select(Account)).one()
            session.add(Recovery(account_id=owner.id, started_at=now() - RECOVERY_AGE - SOON))
        assert thief.press(url).location == RECOVERY_PAGE
        assert count(services) == 1


def test_the_office_lets_somebody_in_sooner_and_it_is_written_down(
    office: Visitor, owner: Visitor, app: Flask, services: Services, worker: Worker, relay: Server
) -> None:
    page = f"/office/leads/{public_id(services)}"
    assert "let them sign in by email now" in office.open(page).text
    token = Form(office.open(page).text).fields["csrf_token"]
    assert office.press(f"{page}/let_in", csrf_token=token).status_code == 303
    worker.drain()
    assert relay.to(LEAD)[-1]["Subject"] == "You sign in by email again"
    assert "the Belong office lets them" in text_of(relay.to(COLLEAGUE)[-1])
    assert trail(services, Kind.LET_IN) == [None]
    assert not is_in(owner), "whoever has the lost device is signed out"
    phone = Visitor(app.test_client())
    assert press(phone, worker, relay).location == "/lead/?lang=en"
    assert office.press(f"{page}/let_in", csrf_token=token).status_code == 404


@pytest.mark.usefixtures("owner")
def test_the_office_stops_a_recovery(
    office: Visitor, thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    page = f"/office/leads/{public_id(services)}"
    token = Form(office.open(page).text).fields["csrf_token"]
    assert office.press(f"{page}/stop_recovery", csrf_token=token).status_code == 404
    begin(thief, worker, relay)
    assert "It’s not them" in office.open(page).text
    assert office.press(f"{page}/stop_recovery", csrf_token=token).status_code == 303
    with time_machine.travel(now() + WAIT + SOON):
        assert press(thief, worker, relay).location == RECOVERY_PAGE


@pytest.mark.usefixtures("owner")
def test_whom_the_office_removes_keeps_no_passkey(
    office: Visitor, thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    begin(thief, worker, relay)
    page = f"/office/leads/{public_id(services)}"
    token = Form(office.open(page).text).fields["csrf_token"]
    given = office.press(f"{page}/remove", csrf_token=token, role="the-village")
    assert given.status_code == 303
    assert count(services) == 0
    with services.reading.begin() as session:
        assert session.scalars(select(Recovery)).all() == []


def test_nobody_of_the_office_lets_themselves_in(office: Visitor, services: Services) -> None:
    add(office, Authenticator())
    with services.reading.begin() as session:
        own = session.scalars(select(Account.public_id).where(Account.is_office)).one()
    page = f"/office/leads/{own}"
    assert "let them sign in by email now" not in office.open(page).text
    token = Form(office.open(page).text).fields["csrf_token"]
    assert office.press(f"{page}/let_in", csrf_token=token).status_code == 404
    assert count(services) == 1


@pytest.mark.usefixtures("owner")
def test_a_suspended_account_is_not_recovered(
    thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    begin(thief, worker, relay)
    with time_machine.travel(now() + WAIT + SOON):
        url = link(thief, worker, relay)
        with services.writing.begin() as session:
            for account in session.scalars(select(Account)):
                account.suspended_at = now()
        assert thief.press(url).status_code == 404
        assert count(services) == 1


@pytest.mark.usefixtures("office", "owner")
def test_a_request_that_the_web_makes_up_begins_nothing_and_mails_nobody(
    services: Services, worker: Worker, relay: Server
) -> None:
    """It names no sign-in link of the account that was mailed and used, and no colleague."""
    with services.writing.begin() as session:
        account = session.scalars(select(Account).order_by(Account.id.desc())).first()
        assert account is not None
        strangers = select(Account).where(Account.id != account.id, ~Account.is_office)
        other = session.scalars(strangers).first()
        assert other is not None
        links = [
            SignIn(account_id=account.id, browser_hash=b"new"),
            SignIn(account_id=other.id, browser_hash=b"used", used_at=now()),
            SignIn(account_id=account.id, browser_hash=b"proof", used_at=now()),
            SignIn(account_id=account.id, browser_hash=b"never mailed", used_at=now()),
        ]
        session.add_all(links)
        session.flush()
        for kind, each in zip(("sign-in", "sign-in", PROOF_LINK), links, strict=False):
            outbox.post(session, kind, account_id=each.account_id, about_id=each.id)
        for name in ("none", *(each.public_id for each in links)):
            recovery.tell(session, services.sealer, account, STARTED, link=name)
        recovery.tell(session, services.sealer, account, RECOVERED)
    before = len(relay.accepted)
    worker.drain()
    with services.writing.begin() as session:
        assert session.scalars(select(Recovery)).all() == []
        session.add(Recovery(account_id=account.id, used_at=now()))
        recovery.tell(session, services.sealer, account, RECOVERED)
    worker.drain()
    with services.writing.begin() as session:
        recovery.forget_passkeys(session, session.get_one(Account, account.id))
        for by in (account, other):
            recovery.tell(session, services.sealer, account, LET_IN, by=by.public_id)
    worker.drain()
    assert len(relay.accepted) == before


@pytest.mark.usefixtures("owner")
def test_recoveries_fill_no_inbox(
    thief: Visitor, services: Services, worker: Worker, relay: Server
) -> None:
    for _ in range(RECOVERY_RATE.burst):
        with services.writing.begin() as session:
            account = session.scalars(select(Account)).one()
            recovery.stop(session, account)
        begin(thief, worker, relay) if _ == 0 else ask_again(services, worker)
    before = len(subjects(relay, LEAD))
    with services.writing.begin() as session:
        recovery.stop(session, session.scalars(select(Account)).one())
    ask_again(services, worker)
    assert len(subjects(relay, LEAD)) == before
    with services.reading.begin() as session:
        assert session.scalars(select(Recovery)).all() == []


@pytest.mark.usefixtures("owner")
def test_recoveries_of_all_together_fill_no_inbox(
    services: Services, worker: Worker, relay: Server
) -> None:
    with services.writing.begin() as session:
        for _ in range(RECOVERIES_RATE.burst):
            record_use(session, b"recoveries", RECOVERIES_RATE, now(), table=WorkerLimit)
    before = len(subjects(relay, LEAD))
    ask_again(services, worker)
    assert len(subjects(relay, LEAD)) == before


def ask_again(services: Services, worker: Worker) -> None:
    """Ask for a recovery by a link that was mailed and used, as whoever reads the mailbox does."""
    with services.writing.begin() as session:
        account = session.scalars(select(Account)).one()
        used = SignIn(account_id=account.id, browser_hash=b"again", used_at=now())
        session.add(used)
        session.flush()
        outbox.post(session, "sign-in", account_id=account.id, about_id=used.id)
        recovery.tell(session, services.sealer, account, STARTED, link=used.public_id)
    worker.drain()


def test_the_page_answers_alike_whoever_has_a_passkey(
    owner: Visitor, thief: Visitor, worker: Worker, relay: Server
) -> None:
    """Only whoever reads the email learns that the account has one."""
    assert is_in(owner)
    answers = [thief.send("/sign-in", email=address) for address in (LEAD, "nobody@dpsk12.org")]
    assert len({(each.status_code, each.location, each.text) for each in answers}) == 1
    worker.drain()
    assert relay.to("nobody@dpsk12.org") == []


def public_id(services: Services) -> str:
    """Return the public id of the lead who has a passkey."""
    with services.reading.begin() as session:
        return session.scalars(select(Account.public_id).join(Passkey)).one()
