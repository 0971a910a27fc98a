"""A retired group sends nothing more, whatever was waiting; its links answer kindly."""

from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select, update

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.worker.loop import Worker
from tests.browser_client import link_to
from tests.factories import group_named, make_members, plan_meeting, queue_issue
from tests.markers import on_both
from tests.scenario import Scenario

SLUG = "the-village"
LEAD, INBOX = "lead@dpsk12.org", "dps-belong@example.org"
# Leaders and inbox are told of an end; nobody else is, and the group sends nothing more.
TOLD = [(each, "One of the Belong groups has ended") for each in (INBOX, LEAD)]


def by_command(_stage: Scenario, cli) -> None:
    result = cli.invoke(args=["group", "retire", SLUG])
    assert result.exit_code == 0, result.output


def by_an_older_version(scenario, _cli: FlaskCliRunner) -> None:
    """Write down that a group is retired, and nothing else; what waits meets its turn."""
    scenario.execute(update(Group).where(Group.slug == SLUG).values(retired_at=now()))


WAYS = pytest.mark.parametrize("retire", [by_command, by_an_older_version])


def drain_for_days(scenario) -> None:
    """Let a worker that was started anew do all that is due, for two days."""
    later = Worker(scenario.services, scenario.keyring)
    with time_machine.travel(now(), tick=True) as clock:
        for hours in (0, 1, 5, 20, 24):
            clock.shift(timedelta(hours=hours))
            scenario.worker.drain()
            later.drain()
    later.engine.close()


def sent(scenario):
    """List what the relay took, but for the emails to leader and inbox about the end."""
    accepted = scenario.relay.accepted
    return [one for one in accepted if (one.recipient, one.message["Subject"]) not in TOLD]


def report(scenario) -> dict[str, int]:
    with scenario.services.reading.begin() as session:
        return newsletters.report(session, session.scalars(select(Newsletter)).one())


@WAYS
def test_a_scheduled_or_held_newsletter_is_never_sent(scenario, cli, retire):
    with scenario.services.writing.begin() as session:
        make_members(session, scenario.keyring, 3)
        for held in (False, True):
            issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
            release.release(session, issue, now() + timedelta(minutes=10))
            if held:
                issue.due_at, issue.held_at = None, now()
    retire(scenario, cli)
    drain_for_days(scenario)
    assert sent(scenario) == []
    with scenario.services.writing.begin() as session:
        for issue in session.scalars(select(Newsletter)):
            assert issue.queued_at is issue.due_at is None
            with pytest.raises(newsletters.InvalidState):
                release.release(session, issue, now())
        assert session.scalars(select(Newsletter.held_at)).all() == [None, None] or (
            retire is by_an_older_version
        )


@on_both("claims")
@WAYS
@pytest.mark.parametrize("accepted", [2, 0], ids=["some have left", "nothing is claimed"])
def test_a_newsletter_being_sent_stops_and_its_counts_add_up(scenario, cli, retire, accepted):
    """Two have it, one is to be tried again, and the rest is not planned yet; or none has it."""
    scenario.relay.script("RCPT", "250 Ok", "250 Ok", "451 4.3.0 Later")
    scenario.add_members(3)
    scenario.queue_at_once()
    if accepted:
        scenario.worker.drain()
    assert len(scenario.relay.accepted) == accepted
    retire(scenario, cli)
    drain_for_days(scenario)
    assert len(sent(scenario)) == accepted
    counts = report(scenario)
    assert counts["recipients"] == 3
    assert (counts["accepted"], counts["withdrawn"]) == (accepted, 3 - accepted)
    assert scenario.worker.waiting() == {}


@WAYS
def test_reminders_welcomes_and_introductions_are_withdrawn(scenario, cli, retire):
    """An answer to something typed is not, as long as the memberships are kept."""
    scenario.invite_lead(LEAD)
    welcomed = scenario.confirm_link("ben@dpsk12.org", introduce_me="y")
    with scenario.services.writing.begin() as session:
        plan_meeting(session, starts_on=(now() + timedelta(days=1)).date())
        make_members(session, scenario.keyring, 1)
        session.execute(update(Subscription).values(is_reminded=True))
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea", "Come.")
        leads = list(session.scalars(select(Account)))
        release.ask_for_test(session, scenario.services.sealer, issue, leads)
    before = len(scenario.relay.accepted)
    scenario.relay.script("RCPT", *["451 4.3.0 Later"] * 8)
    scenario.visitor.join(SLUG, "new@dpsk12.org")
    scenario.visitor.press(welcomed)
    scenario.worker.drain()
    assert sum(scenario.worker.waiting().values()) >= 2
    retire(scenario, cli)
    assert (scenario.worker.waiting() == {"deferred": 1}) is (retire is by_command)
    scenario.visitor.press(welcomed)
    drain_for_days(scenario)
    assert len(sent(scenario)) - before == (retire is by_command)
    assert scenario.worker.waiting() == {}


@WAYS
def test_links_of_a_retired_group_answer_kindly_and_let_nobody_in(scenario, cli, retire):
    confirm = scenario.confirm_link("new@dpsk12.org")
    welcome = scenario.visitor.press(scenario.confirm_link()).location
    leave = link_to(scenario.mails()[-1], "leave")
    assert cli.invoke(args=["lead", "invite", LEAD, "--group", SLUG]).exit_code == 0
    invitation = link_to(scenario.mails(LEAD)[0], "invitation")
    retire(scenario, cli)
    for answer in (scenario.visitor.open(invitation), scenario.visitor.press(invitation)):
        assert answer.status_code == 404
    for answer in (
        scenario.visitor.open(f"/groups/{SLUG}"),
        scenario.visitor.open(f"/groups/{SLUG}/join"),
        scenario.visitor.open(f"/groups/{SLUG}/tell-me"),
        scenario.visitor.open(confirm),
        scenario.visitor.follow(confirm),
        scenario.visitor.open(welcome),
    ):
        assert answer.status_code == 404
        assert "This group has ended" in answer.text
        assert "/groups/asian" in answer.text
    assert "The Village" not in scenario.visitor.open("/").text
    assert scenario.visitor.open("/groups/no-such-group").status_code == 404
    assert "has ended" not in scenario.visitor.open("/groups/no-such-group").text
    assert scenario.visitor.follow(leave).status_code == 200
    with scenario.services.reading.begin() as session:
        active = select(func.count(Subscription.id)).where(Subscription.is_active)
        assert session.scalar(active) == 0


def test_other_groups_go_on(scenario, cli):
    with scenario.services.writing.begin() as session:
        make_members(session, scenario.keyring, 2, "asian")
        queue_issue(session, "asian")
        issue = newsletters.draft(session, group_named(session, "asian"), "Later", "Come.")
        release.release(session, issue, now() + timedelta(minutes=30))
    by_command(scenario, cli)
    drain_for_days(scenario)
    assert [one.message["Subject"] for one in scenario.relay.accepted].count("Later") == 2
    assert len(sent(scenario)) == 4
