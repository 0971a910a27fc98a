"""The office or the operator lets in whoever lost their passkey; a mailbox alone never does."""

import pytest
from sqlalchemy import select, update

from belong_mail.accounts.jobs import LetIn
from belong_mail.accounts.models import Account, Passkey, Right
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.rate_limits import LET_IN_RATE, LET_INS_RATE, record_use
from tests.accounts.passkeys import LEAD, add, count, details, is_in, sign_in_by
from tests.browser_client import Visitor, link_to, text_of
from tests.clients import sign_in, sign_in_office
from tests.db_dump import trail
from tests.servers.authenticator import Authenticator

COLLEAGUE, ELSEWHERE, OFFICE = "colleague@dpsk12.org", "else@dpsk12.org", "office@dpsk12.org"
INBOX = "dps-belong@example.org"
SUBJECT = "A sign-in was switched back to emailed links"
BUTTON = "Let them sign in by email"


@pytest.fixture
def office(app, scenario) -> Visitor:
    """Somebody of the office is signed in, a colleague of the lead, and one of another group."""
    sign_in(app, scenario.keyring, "the-village", COLLEAGUE)
    sign_in(app, scenario.keyring, "asian", ELSEWHERE)
    return sign_in_office(app, scenario.keyring, OFFICE)


def link(browser, scenario) -> str:
    assert browser.send("/sign-in", email=LEAD).location == "/sign-in/sent"
    return link_to(scenario.mails(LEAD)[-1], "sign-in")


def test_an_emailed_link_alone_does_not_sign_in_an_account_with_a_passkey(owner, phone, scenario):
    url = link(phone, scenario)
    page = phone.open(url).text
    assert "This account uses a passkey" in page
    assert "can let you sign in by email again" in page
    assert "another browser" in scenario.visitor.open(url).text
    assert phone.press(url).status_code == 403
    assert not is_in(phone)
    assert is_in(owner)
    assert count(scenario.services) == 1
    assert details(scenario.services, Kind.SIGN_IN_REFUSED) == ["has-passkey"]


def test_the_office_lets_somebody_in_and_those_concerned_hear_of_it(
    office, owner, device, app, scenario
):
    phone, page = Visitor(app.test_client()), f"/office/leads/{public_id(scenario)}"
    shown = office.open(page).text
    assert 0 < shown.index("will no longer sign them in") < shown.index(BUTTON)
    assert BUTTON not in office.open(office.act(f"{page}/let_in").location).text
    scenario.worker.drain()
    for address in (LEAD, COLLEAGUE, OFFICE):
        assert [str(each["Subject"]) for each in scenario.relay.to(address)].count(SUBJECT) == 1
        assert LEAD not in text_of(scenario.relay.to(address)[-1])
    assert SUBJECT not in [str(each["Subject"]) for each in scenario.relay.to(ELSEWHERE)]
    [(role, who)] = actors(scenario, Kind.LET_IN)
    assert [(role, who)] == actors(scenario, Kind.LET_IN_ASKED)
    assert role == "account"
    assert count(scenario.services) == 0
    assert not is_in(owner), "whoever has the lost device is signed out"
    assert sign_in_by(Visitor(app.test_client()), device).status_code == 403
    assert phone.press(link(phone, scenario)).location == "/lead/?lang=en"
    assert office.act(f"{page}/let_in").status_code == 404


def test_all_concerned_are_told_that_somebody_is_let_in_whatever_marks_the_web_sets(
    office, owner, scenario
):
    """The web may write that nobody leads and nobody is of the office, and write it back."""
    with scenario.services.writing.begin() as session:
        of_office = select(Account.public_id).join(Right).where(Right.group_id.is_(None))
        LetIn(session.scalars(of_office).one(), public_id(scenario)).ask(
            session, scenario.services.sealer
        )
        of_leads = update(Right).where(Right.group_id.is_not(None))
        session.execute(of_leads.values(accepted_at=None))
    assert scenario.worker.read_jobs()
    scenario.execute(update(Right).values(accepted_at=None))
    scenario.worker.drain()
    told = [
        each.recipient for each in scenario.relay.accepted if each.message["Subject"] == SUBJECT
    ]
    assert sorted(told) == sorted([LEAD, COLLEAGUE, OFFICE, INBOX])


def test_the_operator_lets_in_the_last_one_of_the_office(office, app, scenario):
    add(office, Authenticator())
    scenario.worker.drain()
    said = app.test_cli_runner().invoke(args=["lead", "unlink", OFFICE])
    assert said.exit_code == 0, said.output
    scenario.worker.drain()
    assert count(scenario.services) == 0
    assert not is_in(office)
    told = scenario.relay.to(OFFICE)[-1]
    assert told["Subject"] == scenario.relay.to(INBOX)[-1]["Subject"] == SUBJECT
    assert "You’re back to signing in to DPS Belong with emailed links" in text_of(told)
    assert actors(scenario, Kind.LET_IN) == [("operator", None)]
    assert office.send("/sign-in", email=OFFICE).location == "/sign-in/sent"
    given = office.press(link_to(scenario.mails(OFFICE)[-1], "sign-in"))
    assert given.location == "/office?lang=en"
    again = app.test_cli_runner().invoke(args=["lead", "unlink", OFFICE])
    assert (again.exit_code, "with no passkey" in again.output) == (1, True)


def test_nobody_of_the_office_lets_themselves_in(office, scenario):
    add(office, Authenticator())
    page = f"/office/leads/{public_id(scenario)}"
    assert BUTTON not in office.open(page).text
    assert office.act(f"{page}/let_in").status_code == 404
    assert count(scenario.services) == 1


def test_the_worker_lets_in_on_the_word_of_a_proven_colleague_alone(office, owner, scenario):
    """Neither its owner, nor whoever wrote into a row that they work for the office."""
    account = public_id(scenario)
    with scenario.services.writing.begin() as session:
        strangers = select(Account).join(Right).where(Account.public_id != account)
        forged = session.scalars(strangers.where(Right.group_id.is_not(None))).first()
        session.add(Right(person=forged, accepted_at=now()))
        for by in (account, forged.public_id, "nobody"):
            LetIn(by, account).ask(session, scenario.services.sealer)
    before = len(scenario.relay.accepted)
    scenario.worker.drain()
    assert len(scenario.relay.accepted) == before
    assert count(scenario.services) == 1


@pytest.mark.parametrize(
    ("key", "rate", "times"), [(b"let-in/%b", LET_IN_RATE, 3), (b"let-in", LET_INS_RATE, 100)]
)
def test_nobody_is_let_in_over_a_limit(owner, key, rate, times, office, scenario):
    """An intruder in the web could fill inboxes, and do it so often that nobody reads it."""
    account = public_id(scenario)
    scenario.do(record_use, key.replace(b"%b", account.encode()), rate, now(), times)
    before = len(scenario.relay.accepted)
    office.act(f"/office/leads/{account}/let_in")
    scenario.worker.drain()
    assert len(scenario.relay.accepted) == before
    assert count(scenario.services) == 1


def public_id(scenario) -> str:
    return scenario.query(select(Account.public_id).join(Passkey))[0]


def actors(scenario, kind: Kind) -> list[tuple[str, str | None]]:
    return [(each.role, each.actor) for each in trail(scenario.services, kind)]
