"""Rights end after a year unless one press renews them; the office's inbox hears of it before."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts import people, right_tasks
from belong_mail.accounts.jobs import EndRight
from belong_mail.accounts.models import UNDO_STOP, Right
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.rate_limits import RIGHTS_CHANGED_RATE, record_use
from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Group
from tests.browser_client import Visitor, text_of
from tests.clients import signed_in
from tests.db_dump import trail
from tests.factories import group_named
from tests.markers import on_both, periodic_tasks
from tests.overlapping import do_twice_at_once
from tests.scenario import VILLAGE

pytestmark = periodic_tasks

OFFICE, COLLEAGUE, LEAD = "office@dpsk12.org", "colleague@dpsk12.org", "lead@dpsk12.org"
INBOX, GROUPS = "dps-belong@example.org", "/office/groups"
SOON, ENDED, RENEWED = "Roles end soon", "A role has ended", "Roles were renewed"
YEAR = timedelta(days=365)


@pytest.fixture
def scenario(scenario):
    scenario.invite_office(OFFICE)
    scenario.invite_lead(LEAD)
    return scenario


def on_day(scenario, moment, address: str) -> list[str]:
    """Let the worker do the tasks of a moment; return the subjects of what an address has."""
    with time_machine.travel(moment):
        scenario.worker.drain()
        return scenario.subjects(address)


def leads(scenario) -> int:
    return scenario.rows("rights") - 1


def ending(browser) -> list[str]:
    """List the rights that the office's page offers to renew."""
    return re.findall(r'name="right" value="([^"]+)" checked', browser.open(GROUPS).text)


def renew(browser, *rights: str) -> None:
    given = browser.act(GROUPS, right=list(rights))
    assert given.location == f"{GROUPS}?done=renewed"


@on_both("races")
def test_two_workers_in_the_same_minute_tell_once(scenario):
    with time_machine.travel(now() + YEAR - timedelta(days=29)):
        do_twice_at_once(
            scenario.services,
            lambda session: right_tasks.tell_what_ends(scenario.worker.work_in(session)),
        )
        assert on_day(scenario, now(), INBOX) == [SOON]


def test_the_inbox_alone_hears_once_a_month_before(scenario):
    begun = now()
    for days, told in ((31, []), (29, [SOON]), (20, [SOON]), (1, [SOON])):
        moment = begun + YEAR - timedelta(days=days)
        assert on_day(scenario, moment, INBOX) == told
        assert on_day(scenario, moment, LEAD) == on_day(scenario, moment, OFFICE) == []
    assert GROUPS in text_of(scenario.mails(INBOX)[-1])


def test_the_end_of_a_renewed_right_is_announced_again_but_not_in_a_retired_group(scenario):
    with scenario.services.writing.begin() as session:
        told = {"ends_at": now() + timedelta(days=20), "reminded_at": now() - YEAR}
        session.execute(update(Right).where(Right.group_id.is_not(None)).values(told))
        session.execute(update(Group).values(retired_at=now()))
        assert people.ending(session, scenario.account(OFFICE)) == []
    assert on_day(scenario, now(), INBOX) == []
    scenario.execute(update(Group).values(retired_at=None))
    assert on_day(scenario, now() + timedelta(minutes=2), INBOX) == [SOON]


def test_a_right_that_no_one_renews_ends(app, scenario):
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(hours=1)):
        lead = signed_in(app, scenario.keyring, LEAD)
    for minutes in (40, 15):
        with time_machine.travel(begun + YEAR - timedelta(minutes=minutes)):
            assert "The Village" in lead.open("/lead/").text
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        assert "The Village" not in lead.open("/lead/").text, "before the worker has taken it away"
        assert scenario.subjects(LEAD).count(ENDED) == 1
        assert "No one renewed the role." in text_of(scenario.mails(LEAD)[-1])
        told = map(text_of, scenario.mails(INBOX))
        assert any("no longer leads The Village" in each for each in told)
        assert leads(scenario) == 0
    [ended] = trail(scenario.services, Kind.RIGHT_ENDED)
    assert (ended.group_slug, ended.role) == (VILLAGE, "worker")


@pytest.mark.parametrize("ends_at", [None, datetime(2090, 1, 1, tzinfo=UTC)])
@on_both("rights")
def test_no_right_lasts_longer_than_a_year_whatever_its_row_says(scenario, ends_at):
    """Else an intruder in the web could keep one for ever, unheard."""
    scenario.execute(update(Right).values(ends_at=ends_at))
    scenario.worker.drain()
    latest = now() + YEAR
    ends = scenario.query(select(Right.ends_at))
    for end in ends:
        assert latest - timedelta(minutes=5) < end <= latest
    assert len(ends) == 2


@pytest.mark.parametrize(("by", "left"), [(OFFICE, 0), (LEAD, 1)])
def test_an_end_beyond_what_is_told_of_a_day_is_told_too(by, left, scenario):
    """The minute tells of a removal; of an own end its job, with the week to undo it."""
    by, lead = (scenario.account(each).public_id for each in (by, LEAD))
    scenario.do(record_use, b"rights/changes", RIGHTS_CHANGED_RATE, now(), 100)
    of_groups = update(Right).where(Right.group_id.is_not(None))
    scenario.execute(of_groups.values(accepted_at=None, ends_at=now() + left * UNDO_STOP))
    place = scenario.group(VILLAGE).public_id
    scenario.seal(EndRight(by, lead, place))
    assert scenario.worker.read_jobs()
    with scenario.services.reading.begin() as session:
        told = session.scalars(select(Delivery).where(Delivery.kind == right_tasks.CHANGED))
        assert bool(told.all()) == bool(left), "no more than the rate by an email of the job"
    assert on_day(scenario, now() + timedelta(minutes=2), LEAD) == [ENDED]
    assert leads(scenario) == left


def test_one_press_renews_all_rights_except_those_left_out(app, scenario):
    """Also when a proof is asked for in between."""
    begun = now()
    scenario.invite_lead(LEAD, "asian")
    lead = scenario.account(LEAD).public_id
    with scenario.services.reading.begin() as session:
        village, asian = (
            f"{lead}/{group_named(session, slug).public_id}" for slug in (VILLAGE, "asian")
        )
    with time_machine.travel(begun + YEAR - timedelta(days=61)):
        office = signed_in(app, scenario.keyring, OFFICE)
        assert ending(office) == []
        renew(office, village)
    with time_machine.travel(begun + YEAR - timedelta(days=59)):
        office = signed_in(app, scenario.keyring, OFFICE)
        own = scenario.account(OFFICE).public_id
        assert ending(office) == [own, village, asian], "the first to end first"
        assert "3 roles end within 60 days" in office.open("/office").text
        renew(office, village, f"{lead}/nowhere", "nobody")
        assert village not in ending(office)
        assert asian in ending(office)
        [renewed] = trail(scenario.services, Kind.RIGHT_RENEWED)
        assert renewed.group_slug == VILLAGE
        with time_machine.travel(now() + timedelta(minutes=20)):
            asked = office.act(GROUPS, right=[own])
        assert asked.status_code == 403
        assert [each in asked.text for each in (own, asian)] == [True, False]
    told = on_day(scenario, begun + YEAR + timedelta(days=1), INBOX)
    assert told.count(SOON) == 1, "of the one that was left out"
    assert leads(scenario) == 1


def test_the_office_hears_once_of_all_that_one_press_renews(app, scenario):
    scenario.invite_office(COLLEAGUE)
    scenario.invite_lead(LEAD, "asian")
    with time_machine.travel(now() + YEAR - timedelta(days=40)):
        office = signed_in(app, scenario.keyring, OFFICE)
        renew(office, *ending(office))
        for address in (INBOX, OFFICE, COLLEAGUE):
            assert on_day(scenario, now(), address) == [RENEWED]
        said = text_of(scenario.mails(INBOX)[-1])
        assert [each in said for each in ("The Village", "Asian", "work for")] == [True] * 3
        assert on_day(scenario, now() + timedelta(days=9), INBOX) == [RENEWED]


@pytest.mark.parametrize("days", [20, 200])
def test_an_end_that_the_web_moves_is_told(days, scenario):
    """It may write a later one at any time; an accepted right that it left alone is not told of."""
    with time_machine.travel(now() + timedelta(days=days)):
        assert on_day(scenario, now(), INBOX) == []
        scenario.execute(update(Right).values(ends_at=now() + YEAR))
        assert on_day(scenario, now() + timedelta(minutes=2), INBOX) == [RENEWED]


@on_both("races")
def test_a_renewal_undoes_no_removal_of_the_same_moment(scenario):
    by, lead = scenario.account(OFFICE), scenario.account(LEAD)
    with scenario.services.reading.begin() as session:
        key = f"{lead.public_id}/{group_named(session, VILLAGE).public_id}"
    is_second = iter((False, True))

    def act(session) -> None:
        if next(is_second):
            people.renew(session, by, [key])
        else:
            people.remove(session, scenario.services.sealer, by, lead, VILLAGE)

    with time_machine.travel(now() + YEAR - timedelta(days=29)):
        do_twice_at_once(scenario.services, act)
        assert ENDED in on_day(scenario, now(), LEAD)
    assert leads(scenario) == 0


def test_a_colleague_renews_the_office_and_not_oneself(app, scenario):
    scenario.invite_office(COLLEAGUE)
    own, other = (scenario.account(each).public_id for each in (OFFICE, COLLEAGUE))
    begun = now()
    with time_machine.travel(begun + YEAR - timedelta(days=10)):
        office = signed_in(app, scenario.keyring, OFFICE)
        assert own not in ending(office)
        renew(office, own, other)
    with time_machine.travel(begun + YEAR + timedelta(minutes=5)):
        scenario.worker.drain()
        office = Visitor(app.test_client())
        office.send("/sign-in", email=OFFICE)
        assert "Your sign-in link" not in scenario.subjects(OFFICE)
        assert signed_in(app, scenario.keyring, COLLEAGUE).open(GROUPS).status_code == 200
    ended = {each.account for each in trail(scenario.services, Kind.RIGHT_ENDED)}
    assert scenario.account(OFFICE).public_id in ended


def test_the_last_of_the_office_stays_and_renews_themself(app, scenario):
    own = scenario.account(OFFICE).public_id
    with time_machine.travel(now() + YEAR + timedelta(days=2)):
        scenario.worker.drain()
        office = signed_in(app, scenario.keyring, OFFICE)
        assert ending(office) == [own]
        renew(office, own)
        assert ending(office) == []


def test_a_colleague_is_removed_though_nobody_was_renewed_in_time(app, scenario):
    scenario.invite_office(COLLEAGUE)
    person = f"/office/leads/{scenario.account(COLLEAGUE).public_id}"
    with time_machine.travel(now() + YEAR + timedelta(days=2)):
        scenario.worker.drain()
        signed_in(app, scenario.keyring, OFFICE).act(f"{person}/remove", role="office")
        scenario.worker.drain()
        assert scenario.right(COLLEAGUE) is None
        assert "ended your role" in text_of(scenario.mails(COLLEAGUE)[-1])
