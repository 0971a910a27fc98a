"""A group ends as a process: announced, joined by nobody, silent at the date, then emptied."""

from datetime import date, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text, update

from belong_mail.accounts.models import Right
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.groups import mailbox as mailboxes
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.members import service as members
from belong_mail.members.jobs import Signup, WaitForGroup
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.members.tasks import make_note
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.office import group_retirement
from belong_mail.office.tasks import find_locked_groups
from tests.browser_client import Form, read, text_of
from tests.clients import sign_in, signed_in
from tests.db_dump import trail
from tests.factories import change_group, group_named, make_members, queue_issue
from tests.markers import on_both, on_postgresql, periodic_tasks

SLUG = "the-village"
LEAD = f"lead-of-{SLUG}@dpsk12.org"
INBOX, OFFICE = "dps-belong@example.org", "office@dpsk12.org"
PAGE = f"/office/groups/{SLUG}"
ENDING = "One of the Belong groups is coming to an end"
ENDED = "One of the Belong groups has ended"
GOES_ON = "One of the Belong groups will continue after all"


@pytest.fixture
def lead(app, scenario):
    return sign_in(app, scenario.keyring, SLUG)


@pytest.fixture
def clock():
    with time_machine.travel(now(), tick=True) as traveller:
        yield traveller


def later(scenario, clock: time_machine.Traveller, **passed: float) -> None:
    """Let time pass, and the worker do what is due then; its tasks are done each minute."""
    clock.shift(timedelta(**passed))
    scenario.worker.drain()
    clock.shift(timedelta(minutes=2))
    scenario.worker.drain()


def group_now(scenario) -> Group:
    return scenario.query(select(Group).where(Group.slug == SLUG))[0]


def rows(scenario, model, slug: str = SLUG) -> int:
    with scenario.services.reading.begin() as session:
        found = select(func.count(model.id)).join(Group, Group.id == model.group_id)
        return session.scalar(found.where(Group.slug == slug)) or 0


def schedule(session, subject: str, **ahead: float) -> Newsletter:
    issue = newsletters.draft(session, group_named(session, SLUG), subject, "Come.")
    release.release(session, issue, now() + timedelta(**ahead))
    return issue


def restore(visitor) -> int:
    return visitor.act(f"{PAGE}/restore").status_code


def test_the_page_says_in_rounded_numbers_what_will_happen_and_asks_once(office, scenario, clock):
    scenario.add_members(43)
    scenario.do(schedule, "Late", days=90)
    later(scenario, clock, minutes=2)
    page = office.open(f"{PAGE}/end").text
    assert "about 40 memberships are deleted." in page
    assert "1 newsletter is scheduled." in page
    soon, far = (f"{now() + timedelta(days=days):%Y-%m-%d}" for days in (3, 367))
    for wrong in ("", "2020-01-01", soon, far):
        assert office.send(f"{PAGE}/end", last_day=wrong).status_code == 422
    assert group_now(scenario).ends_at is None
    last_day = date.fromisoformat(Form(office.open(f"{PAGE}/end").text).fields["last_day"])
    assert office.send(f"{PAGE}/end", last_day=f"{last_day}").status_code == 303
    ends_at = group_now(scenario).ends_at
    assert ends_at is not None
    assert timedelta(days=29) < ends_at - now() <= timedelta(days=31)
    said = read(i18n.format_day(last_day, "en"))
    assert f"last day is {said}" in office.open(PAGE).text
    assert f"already set: {said}" in office.open(f"{PAGE}/end").text
    pressed = office.press(f"{PAGE}/end", **Form(office.open(PAGE).text).fields)
    assert pressed.status_code in {409, 422}
    later(scenario, clock, minutes=2)
    assert said in text_of(scenario.relay.to(LEAD)[-1])


def test_from_then_on_nobody_joins_and_the_pages_say_so_kindly(office, scenario):
    confirm = scenario.confirm_link("new@dpsk12.org")
    scenario.visitor.join(SLUG, "late@dpsk12.org")
    with scenario.services.writing.begin() as session:
        group, wished = group_named(session, SLUG), WaitForGroup("late@dpsk12.org", "en")
        members.ask_to_join(session, scenario.services.sealer, group, wished, now())
    office.send(f"{PAGE}/end")
    assert scenario.mails("late@dpsk12.org") == [], "what is on its way lets nobody in"
    assert rows(scenario, WaitlistEntry) == 0, "nor does anybody wait for it"
    for answer in (
        scenario.visitor.open(f"/groups/{SLUG}/join"),
        scenario.visitor.open(f"/groups/{SLUG}/tell-me"),
        scenario.visitor.open(confirm),
        scenario.visitor.follow(confirm),
    ):
        assert answer.status_code == 404
        assert "This group is coming to an end" in answer.text
    assert not scenario.is_member("new@dpsk12.org")
    page = scenario.visitor.open(f"/groups/{SLUG}")
    assert page.status_code == 200
    assert f"/groups/{SLUG}/join" not in page.text
    assert f"/groups/{SLUG}/" not in scenario.visitor.open("/new-colleagues").text


def test_leads_and_office_are_told_and_what_is_scheduled_for_later_is_a_draft(
    office, scenario, clock
):
    with scenario.services.writing.begin() as session:
        farewell, late = schedule(session, "Farewell", days=5), schedule(session, "Late", days=90)
    office.send(f"{PAGE}/end")
    later(scenario, clock, minutes=2)
    assert scenario.subjects(LEAD).count(ENDING) == 1
    told = text_of(scenario.relay.to(LEAD)[-1])
    assert "The Village Belong Group" in told
    assert "send newsletters, such as one to say goodbye" in told
    with scenario.services.reading.begin() as session:
        assert session.get_one(Newsletter, farewell.id).due_at is not None
        assert session.get_one(Newsletter, late.id).due_at is None


def test_a_newsletter_scheduled_for_the_very_end_becomes_a_draft(session):
    issue = schedule(session, "At the end", days=9)
    assert issue.due_at is not None
    group_retirement.end_on(session, issue.group, issue.due_at)
    session.refresh(issue)
    assert issue.due_at is None


def test_a_group_that_ends_is_not_started(session):
    group = group_named(session, "autoimmune")
    group_retirement.end_on(session, group, now() + timedelta(days=9))
    with pytest.raises(groups.AlreadyLaunched):
        groups.launch(group)


def test_leaders_and_office_are_told_that_a_group_ends_whatever_marks_the_web_sets(scenario, clock):
    """The web may write, for a minute, that nobody leads it."""
    scenario.invite_office(OFFICE)
    scenario.invite_lead(LEAD)
    scenario.execute(update(Group).where(Group.slug == SLUG).values(ends_at=now()))
    scenario.execute(update(Right).values(accepted_at=None))
    later(scenario, clock, minutes=2)
    told = [one.recipient for one in scenario.relay.accepted if one.message["Subject"] == ENDED]
    assert sorted(told) == sorted([LEAD, OFFICE, INBOX])


def test_a_farewell_goes_out_before_the_end_and_none_can_be_scheduled_for_after(
    office, scenario, clock
):
    scenario.add_member("ada@dpsk12.org")
    office.send(f"{PAGE}/end")
    with scenario.services.writing.begin() as session:
        schedule(session, "Farewell", days=5)
        with pytest.raises(newsletters.InvalidState):
            schedule(session, "Late", days=60)
    begun = office.act(f"/lead/groups/{SLUG}/newsletters")
    assert begun.status_code == 303
    page = begun.location.partition("?")[0]
    office.send(page, subject="Late", text="Come.")
    at = f"{now() + timedelta(days=60):%Y-%m-%dT09:00}"
    answer = office.send(f"{page}/release", when="later", at=at)
    assert answer.status_code == 422
    assert "The group will have ended by then." in answer.text
    for _day in range(6):
        later(scenario, clock, days=1)
    assert "Farewell" in scenario.subjects("ada@dpsk12.org")


@on_both("every row of a group")
def test_at_the_end_nothing_leaves_and_every_membership_and_note_goes(office, scenario, clock):
    with scenario.services.writing.begin() as session:
        make_members(session, scenario.keyring, 7)
        make_members(session, scenario.keyring, 2, "asian")
        mailboxes.wrap_mailbox(scenario.keyring.opener, group_named(session, SLUG), OFFICE)
    office.send(f"{PAGE}/end")
    with scenario.services.writing.begin() as session:
        wished = Signup("waits@dpsk12.org", "en")
        session.add(make_note(scenario.keyring, group_named(session, SLUG), wished))
    later(scenario, clock, minutes=2)
    later(scenario, clock, days=29)
    assert (rows(scenario, Subscription), rows(scenario, WaitlistEntry)) == (7, 1)
    assert group_now(scenario).retired_at is None
    before = len(scenario.relay.accepted)
    later(scenario, clock, days=2)
    group = group_now(scenario)
    assert None not in (group.retired_at, group.emptied_at)
    assert (group.wrapped_mailbox, group.members_shown) == (None, None)
    assert rows(scenario, Subscription) == rows(scenario, WaitlistEntry) == 0
    assert rows(scenario, Subscription, "asian") == 2
    assert len(scenario.relay.accepted) == before
    assert "This group has ended" in scenario.visitor.open(f"/groups/{SLUG}").text
    kinds = [each.kind for each in trail(scenario.services) if each.group_slug == SLUG]
    assert "end of a group set" in kinds
    assert kinds[-1] == "memberships of a group deleted"


def test_a_newsletter_under_way_or_due_during_downtime_is_not_sent_after_the_end(
    office, scenario, clock
):
    """The worker comes back after the date, with copies in its books and an issue that is due."""
    scenario.relay.script("RCPT", *["451 4.3.0 Later"] * 3)
    scenario.add_members(3)
    scenario.do(queue_issue, subject="Being sent")
    scenario.worker.drain()
    office.send(f"{PAGE}/end")
    with scenario.services.writing.begin() as session:
        schedule(session, "Due", minutes=30)
        group = group_named(session, SLUG)
        group.ends_at = now() + timedelta(minutes=40)
    before = len(scenario.relay.accepted)
    clock.shift(timedelta(hours=3))
    assert scenario.worker._queue_due()
    scenario.worker.engine.retry()
    while scenario.worker.engine.work():
        pass
    scenario.worker.engine.finish()
    assert len(scenario.relay.accepted) == before
    later(scenario, clock, hours=1)
    sent = {str(one.message["Subject"]) for one in scenario.relay.accepted[before:]}
    assert sent <= {ENDED}


def test_a_group_that_was_to_end_goes_on_and_all_are_told(office, scenario, clock):
    scenario.add_members(3)
    office.send(f"{PAGE}/end")
    later(scenario, clock, minutes=2)
    assert restore(office) == 303
    assert office.open(f"{PAGE}?done=restore").text.count('class="notice done"') == 1
    later(scenario, clock, minutes=2)
    assert scenario.subjects(LEAD)[-2:] == [ENDING, GOES_ON]
    assert scenario.visitor.open(f"/groups/{SLUG}/join").status_code == 200
    later(scenario, clock, days=40)
    assert rows(scenario, Subscription) == 3
    again = sign_in(office.client.application, scenario.keyring, SLUG)
    assert restore(again) == 409


def test_a_date_that_the_web_moved_up_deletes_nobody_before_all_were_told_for_a_week(
    office, scenario, clock
):
    """An intruder in the web can set any end, and set another one later."""
    scenario.add_members(3)
    office.send(f"{PAGE}/end")
    later(scenario, clock, days=20)
    scenario.execute(update(Group).where(Group.slug == SLUG).values(ends_at=now()))
    later(scenario, clock, minutes=2)
    assert rows(scenario, Subscription) == 3
    assert [each for each in scenario.subjects(LEAD) if each in (ENDING, ENDED)] == [ENDING, ENDED]
    later(scenario, clock, days=6)
    assert rows(scenario, Subscription) == 3
    later(scenario, clock, days=2)
    assert rows(scenario, Subscription) == 0


def test_a_date_that_the_web_moves_on_after_it_passed_keeps_nobody_for_years(scenario, clock):
    scenario.add_members(3)
    for end in (now(), now() + timedelta(days=9000)):
        scenario.execute(update(Group).where(Group.slug == SLUG).values(ends_at=end))
        later(scenario, clock, minutes=2)
    later(scenario, clock, days=6)
    assert rows(scenario, Subscription) == 3
    later(scenario, clock, days=2)
    assert rows(scenario, Subscription) == 0


def test_an_end_that_the_web_takes_back_deletes_nobody_and_the_group_goes_on(scenario, clock):
    """The email said that it goes on, while every membership went within two minutes."""
    scenario.invite_lead(LEAD)
    scenario.add_members(3)
    for end in (now() - timedelta(days=400), None):
        scenario.execute(update(Group).where(Group.slug == SLUG).values(ends_at=end))
        later(scenario, clock, minutes=2)
    assert scenario.subjects(LEAD) == [ENDED, GOES_ON]
    assert rows(scenario, Subscription) == 3
    assert scenario.visitor.open(f"/groups/{SLUG}/join").status_code == 200


def test_the_command_does_the_same_at_once_or_in_some_days_and_restores(
    office, scenario, clock, cli
):
    def run(*arguments: str) -> int:
        return cli.invoke(args=["group", *arguments]).exit_code

    assert office.open(PAGE).status_code == 200
    scenario.add_members(3)
    assert (run("restore", SLUG), run("restore", "nowhere")) == (1, 2)
    assert run("retire", SLUG, "--days", "2") == 0
    assert run("retire", SLUG, "--days", "30") == 1
    later(scenario, clock, minutes=2)
    emptied = group_retirement.emptied_after(group_now(scenario))
    assert emptied is not None
    kept = read(
        i18n.format_day(emptied.astimezone(scenario.services.settings.timezone).date(), "en")
    )
    assert f"memberships after {kept}" in text_of(scenario.relay.to(INBOX)[-1]), "a week later"
    assert scenario.visitor.open(f"/groups/{SLUG}/join").status_code == 404
    assert run("restore", SLUG) == 0
    assert run("retire", SLUG) == 0
    assert "This group has ended" in scenario.visitor.open(f"/groups/{SLUG}").text
    later(scenario, clock, days=5)
    assert "Nothing more is sent to its members" in text_of(scenario.relay.to(INBOX)[-1])
    assert rows(scenario, Subscription) == 3
    assert run("restore", SLUG) == 0
    assert scenario.visitor.open(f"/groups/{SLUG}/join").status_code == 200
    later(scenario, clock, days=20)
    assert rows(scenario, Subscription) == 3
    assert run("retire", SLUG) == 0
    later(scenario, clock, minutes=2)
    later(scenario, clock, days=8)
    assert rows(scenario, Subscription) == 0
    assert run("restore", SLUG) == 1


def test_the_office_reads_of_an_ended_group_when_that_was_and_what_becomes_of_it(
    office, scenario, clock
):
    scenario.add_members(3)
    scenario.do(change_group, SLUG, ends_at=now() - timedelta(seconds=1))
    assert "has ended" in office.open(PAGE).text  # also before the worker has noticed
    later(scenario, clock, minutes=2)
    assert f'href="{PAGE}"' in office.open("/office/groups").text
    page = office.open(PAGE)
    assert page.status_code == 200
    assert "No one can join it, and nothing more is sent to its members." in page.text
    assert "Its memberships are kept until" in page.text
    assert f"Tell them its short name: {SLUG}." in page.text
    before = group_now(scenario)
    assert office.act(PAGE, name="Other", summary_en="Other").status_code == 409
    for answer in (office.open(f"{PAGE}/end"), office.act(f"{PAGE}/launch")):
        assert (answer.status_code, "This group has ended" in answer.text) == (404, True)
    assert restore(office) == 404
    after = group_now(scenario)
    assert (after.name, after.retired_at) == (before.name, before.retired_at)
    later(scenario, clock, days=4)
    later(scenario, clock, days=4)
    signed_in(office.client.application, scenario.keyring, LEAD, office)
    assert "All of its memberships were deleted on" in office.open(PAGE).text
    assert scenario.visitor.open(PAGE).status_code in {302, 303}


@periodic_tasks
@on_postgresql
def test_an_end_in_infinity_is_told_and_no_task_fails_of_it_for_ever(scenario, lead):
    """A task that keeps failing is told once, so it would hide what a lock keeps untold later."""
    scenario.execute(text("UPDATE groups SET ends_at = 'infinity'"))
    scenario.worker.drain()
    assert ENDING in scenario.subjects(LEAD)
    with scenario.services.reading.begin() as session:
        find_locked_groups(scenario.worker.work_in(session))
