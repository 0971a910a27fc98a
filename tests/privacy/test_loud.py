"""A guess at a member emails or alarms somebody, and is counted, whatever the web writes."""

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from belong_mail.accounts import proven
from belong_mail.accounts.jobs import (
    AcceptRights,
    EndRight,
    InviteAgain,
    InviteColleague,
    RestoreRight,
)
from belong_mail.accounts.models import OFFICE as PLACE
from belong_mail.accounts.models import UNDO_STOP, Account, Right
from belong_mail.accounts.retention import end_invitations
from belong_mail.core import jobs
from belong_mail.core.db import now, required
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import UNUSUAL_LOOKUPS, Limit, WorkerLimit, record_use
from belong_mail.delivery.mailer import post_to_address
from belong_mail.members.jobs import Join, SendMyGroups
from belong_mail.members.service import ask_to_join
from belong_mail.ops.grants import WEB
from tests.browser_client import link_to, text_of
from tests.factories import change_group, group_named
from tests.markers import OPERATOR, alerted, on_postgresql, periodic_tasks
from tests.privacy.doors import DOORS, EVE, INBOX, OFFICE, OTHER, guess, used
from tests.privacy.silencing import (
    FAILED,
    NOT_ACCEPTED,
    SILENCERS,
    by_the_role,
    hear,
    ids,
    silence,
)
from tests.scenario import VILLAGE, drain_in
from tests.web_role import locked_by_web

pytestmark = periodic_tasks


COLLEAGUE, NEW = "colleague@dpsk12.org", "new@dpsk12.org"
MEMBER, STRANGER, LEAD = "ada@dpsk12.org", "ben@dpsk12.org", "lead@dpsk12.org"


@pytest.mark.parametrize(
    "settings", [{"BELONG_ALERT_ADDRESS": OPERATOR, "BELONG_SEND_RATE": "600"}]
)
@by_the_role
def test_no_limit_of_the_webs_holds_back_an_email_or_an_alarm(scenario):
    """It may write any key into its table, and knows those of the worker's that are no hashes."""
    assert "worker_limits" not in WEB
    with time_machine.travel(now(), tick=False):  # else a busy machine forgets a count meanwhile
        scenario.visitor.join(VILLAGE, MEMBER)
        counts = scenario.rows("limits")
        scenario.worker.drain()
        assert scenario.rows("limits") == counts, "the worker counts in a table of its own"
    with scenario.services.writing.begin() as session:
        session.query(WorkerLimit).filter_by(key=jobs.FLOOD).one()
        for key in (*(row.key for row in session.query(WorkerLimit)), b"alert/unusual_lookups"):
            session.merge(Limit(key=key, used_until=9e9))
        record_use(session, jobs.NOTICE, UNUSUAL_LOOKUPS, now(), UNUSUAL_LOOKUPS.burst)
    with time_machine.travel(now() + timedelta(minutes=2), tick=False):
        before = used(scenario, jobs.FLOOD)
        scenario.ask(STRANGER)
        assert len(scenario.relay.to(OPERATOR)) == 1
        assert used(scenario, jobs.FLOOD) > before


@pytest.mark.parametrize("silencer", SILENCERS)
def test_nothing_that_the_web_changes_afterwards_withdraws_an_email(silencer, scenario):
    """A member, a stranger or a leader is guessed, at every door."""
    before = guess_a_member_a_stranger_and_a_lead(scenario)
    silence(scenario, SILENCERS[silencer])
    scenario.worker._periodic_tasks.run()
    scenario.worker.drain()
    told = Counter(each.recipient for each in scenario.relay.accepted[before:])
    assert told >= Counter([MEMBER, STRANGER, MEMBER, LEAD])


def guess_a_member_a_stranger_and_a_lead(scenario) -> int:
    """Let the worker decide on guesses; return how many emails had left before."""
    scenario.invite_lead(LEAD)
    scenario.enter(MEMBER)
    before = len(scenario.relay.accepted)
    for address in (MEMBER, STRANGER):
        scenario.visitor.join(VILLAGE, address)
    scenario.visitor.send("/my-groups", email=MEMBER)
    scenario.visitor.send("/sign-in", email=LEAD)
    assert scenario.worker.read_jobs()
    return before


@by_the_role
def test_a_leader_gets_the_sign_in_link_whatever_marks_the_web_sets(scenario):
    """Else the audit trail would say unheard that a guess is a leader's."""
    scenario.invite_lead(LEAD)
    silence(scenario, SILENCERS["the right"])
    scenario.visitor.send("/sign-in", email=LEAD)
    assert [mail for mail in scenario.mails(LEAD) if "/sign-in/" in text_of(mail)]


@alerted
@pytest.mark.parametrize(
    ("door", "address", "lock"),
    [
        ("join", MEMBER, "SELECT id FROM subscriptions FOR UPDATE"),
        ("sign-in", LEAD, "SELECT id FROM accounts FOR UPDATE"),
    ],
)
@on_postgresql
def test_the_operator_hears_of_a_guess_that_meets_a_lock(door, address, lock, scenario):
    """It waits, which tells that somebody is known; then the web deletes it."""
    scenario.invite_lead(LEAD)
    scenario.enter(MEMBER)
    with locked_by_web(scenario.engine, lock):
        guess(scenario, door, address)
        scenario.worker.drain()
    silence(scenario, "DELETE FROM jobs")
    assert FAILED in hear(scenario)


def test_a_worker_that_stops_has_noted_a_lookup_that_failed(scenario):
    guess(scenario, "my-groups", MEMBER)
    scenario.worker._tasks["my-groups"] = lambda _: required(None, ValueError)
    scenario.worker.read_jobs()
    scenario.worker.close()
    with scenario.services.reading.begin() as session:
        assert session.scalar(jobs.HAS_FAILED)


@alerted
@on_postgresql
def test_the_operator_hears_of_a_note_that_meets_a_lock(scenario, caplog):
    """It waits for a group that starts; the lock tells a member, and the note is deleted."""
    scenario.enter(MEMBER)
    silence(scenario, "UPDATE groups SET established_at = NULL")
    for address in (MEMBER, STRANGER):
        guess(scenario, "interest", address)
        scenario.worker.drain()
    silence(scenario, "UPDATE groups SET established_at = '2020-01-01'")
    before = len(scenario.relay.accepted)
    with locked_by_web(scenario.engine, "SELECT id FROM subscriptions FOR UPDATE"):
        scenario.worker.drain()
    tries = [each for each in caplog.messages if each.startswith("Waiting-list entry")]
    assert len(tries) == 1, "It rests, or each turn would wait for the lock."
    silence(scenario, "DELETE FROM waitlist_entries")
    assert FAILED in hear(scenario)
    told = {each.recipient for each in scenario.relay.accepted[before:]}
    assert told == {STRANGER, OPERATOR}


@alerted
def test_the_operator_hears_of_a_guess_that_cannot_be_read(scenario):
    with scenario.services.writing.begin() as session:
        session.add(Job(kind=SendMyGroups.kind, sealed=b"x"))
    scenario.worker.drain()
    assert FAILED in hear(scenario)


@pytest.mark.parametrize(
    "lock",
    [
        "DELETE FROM pending_confirmations; DELETE FROM manage_sessions",
        "SELECT id FROM sign_ins FOR UPDATE",
        "LOCK TABLE pending_confirmations; LOCK TABLE manage_sessions",
    ],
)
@on_postgresql
def test_no_lock_of_the_webs_holds_back_an_email(lock, scenario):
    """Else it would hold a row until the email for a guess has expired."""
    before = guess_a_member_a_stranger_and_a_lead(scenario)
    with locked_by_web(scenario.engine, lock):
        scenario.worker.drain()
        told = sorted(each.recipient for each in scenario.relay.accepted[before:])
        assert told == sorted([STRANGER, MEMBER, MEMBER, LEAD])


def is_proven(scenario, address: str, slug: str | None = VILLAGE) -> bool:
    with scenario.services.reading.begin() as session:
        account, group = scenario.account(address), slug and group_named(session, slug)
        return proven.is_proven(session, scenario.keyring.opener, account, group or None)


def invite_quietly(scenario) -> None:
    """Let the web invite an address of its own, in the name of somebody of the office."""
    scenario.invite_office(OFFICE)
    by, group = ids(scenario, OFFICE)
    scenario.seal(InviteColleague(by, "New", NEW, "en", [group]))
    scenario.worker.drain()


def test_a_long_name_makes_no_email_that_tells_of_a_right_too_large_for_a_relay(scenario):
    scenario.do(change_group, VILLAGE, name="é'" * 100_000)
    invite_quietly(scenario)
    assert scenario.relay.to(OFFICE)
    assert max(len(each.data) for each in scenario.relay.accepted) < 100_000


@by_the_role
def test_a_right_is_told_under_the_name_that_its_group_had_before_too(scenario):
    """The web may rename a group for the moment in which the worker reads of the right."""
    scenario.invite_office(OFFICE)
    by, group = ids(scenario, OFFICE)
    silence(scenario, "UPDATE groups SET name = 'Eve ' || id")
    scenario.seal(InviteColleague(by, "New", NEW, "en", [group]))
    scenario.worker.drain()
    for address in (OFFICE, INBOX):
        assert " / The Village" in text_of(scenario.relay.to(address)[-1])


@by_the_role
def test_nobody_accepts_without_the_email(scenario):
    """The secret stands in the invited person's mailbox alone; the web's marks accept nothing."""
    invite_quietly(scenario)
    account, group = ids(scenario, NEW)
    silence(scenario, "UPDATE rights SET accepted_at = '2026-01-01 00:00:00+00:00'")
    [kept] = scenario.query(select(Account.invited_as).where(Account.invited_as.is_not(None)))
    for secret in ("", str(kept), account):
        scenario.seal(AcceptRights(account, [group], secret))
    scenario.worker.drain()
    assert not is_proven(scenario, NEW)
    silence(scenario, NOT_ACCEPTED)
    link = link_to(scenario.relay.to(NEW)[0], "invitation")
    scenario.visitor.press(link)
    scenario.worker.drain()
    assert is_proven(scenario, NEW)


@by_the_role
def test_a_right_is_given_back_only_if_it_was_accepted_and_within_a_week(scenario):
    """The web may mark it as accepted, and ask in the name of somebody of the office."""
    invite_quietly(scenario)
    scenario.invite_lead(LEAD)
    (lead, group), by = ids(scenario, LEAD), ids(scenario, OFFICE)[0]
    give_up(scenario, EndRight(lead, lead, group))
    silence(scenario, "UPDATE rights SET accepted_at = '2026-01-01 00:00:00+00:00', ends_at = NULL")
    for age, is_given_back in ((UNDO_STOP, False), (timedelta(0), True)):
        scenario.execute(update(Right).values(since=now() - age))
        for address in (NEW, LEAD):
            scenario.seal(RestoreRight(by, ids(scenario, address)[0], group))
        scenario.worker.read_jobs()
        assert not is_proven(scenario, NEW)
        assert is_proven(scenario, LEAD) is is_given_back


def give_up(scenario, stop: EndRight) -> None:
    of_groups, ends_at = update(Right).where(Right.group_id.is_not(None)), now() + UNDO_STOP
    scenario.execute(of_groups.values(accepted_at=None, ends_at=ends_at))
    scenario.seal(stop)
    scenario.worker.read_jobs()


@pytest.mark.parametrize("first", [EndRight, RestoreRight])
@by_the_role
def test_the_offices_removal_stands_whatever_the_web_seals_just_before(first, scenario):
    """A leader's own stop could be undone for a week; so could one who has stopped come back."""
    scenario.invite_lead(LEAD)
    scenario.invite_office(OFFICE)
    (lead, group), by = ids(scenario, LEAD), ids(scenario, OFFICE)[0]
    is_undo = first is RestoreRight
    if is_undo:
        give_up(scenario, EndRight(lead, lead, group))
    scenario.seal(first(by if is_undo else lead, lead, group))
    silence(scenario, f"{SILENCERS['the right']} WHERE group_id IS NOT NULL")
    scenario.seal(EndRight(by, lead, group))
    scenario.worker.read_jobs()
    assert scenario.right(LEAD, VILLAGE) is None
    scenario.worker.drain()
    assert told_of_a_role(scenario).count(LEAD) == 1 + is_undo


@by_the_role
def test_the_secret_of_an_invitation_accepts_no_later_one(scenario):
    """The web saw the first one while it was opened; everybody else answers by the new email."""
    invite_quietly(scenario)
    by, seen = ids(scenario, OFFICE)[0], scenario.invitation_secret(scenario.relay.to(NEW)[0])
    scenario.visitor.press(link_to(scenario.relay.to(NEW)[0], "invitation"))
    scenario.worker.drain()
    other = scenario.group(OTHER).public_id
    scenario.seal(InviteColleague(by, "New", NEW, "en", [other, PLACE]))
    scenario.worker.drain()
    account = ids(scenario, NEW)[0]
    newest = scenario.invitation_secret(scenario.relay.to(NEW)[-1])
    for secret, is_theirs in ((seen, False), (newest, True)):
        silence(scenario, "UPDATE rights SET accepted_at = '2026-01-01 00:00:00+00:00'")
        scenario.seal(AcceptRights(account, [other, PLACE], secret))
        scenario.worker.read_jobs()
        assert is_proven(scenario, NEW, OTHER) == is_proven(scenario, NEW, None) == is_theirs


def test_an_invitation_that_is_not_sent_leaves_the_last_ones_link(scenario):
    scenario.invite_lead(LEAD)
    scenario.invite_office(OFFICE)
    scenario.seal(InviteAgain(ids(scenario, OFFICE)[0], ids(scenario, LEAD)[0]))
    scenario.worker.drain()
    assert scenario.account(LEAD).invited_as is None


@by_the_role
def test_all_concerned_are_told_of_a_new_leader_whatever_marks_the_web_sets(scenario):
    scenario.invite_lead(LEAD)
    scenario.invite_office(COLLEAGUE)
    scenario.invite_office(OFFICE)
    by, group = ids(scenario, OFFICE)
    own = scenario.account(OFFICE).id
    silence(scenario, f"{SILENCERS['the right']} WHERE account_id <> {own}")
    scenario.seal(InviteColleague(by, "Nova", NEW, "en", [group]))
    scenario.worker.drain()
    told = {each.recipient for each in scenario.relay.accepted if "Nova" in text_of(each.message)}
    assert told == {LEAD, COLLEAGUE, OFFICE, INBOX}


@by_the_role
def test_a_right_that_the_web_ends_by_a_row_is_told(scenario):
    scenario.invite_lead(LEAD)
    is_postgresql = scenario.engine.dialect.name == "postgresql"
    ends_at = "-infinity" if is_postgresql else "2020-01-01"
    silence(scenario, SILENCERS["the right"].replace("2020-01-01", ends_at))
    drain_in(scenario.worker, minutes=2)
    assert told_of_a_role(scenario) == sorted([LEAD, INBOX])


@pytest.mark.parametrize(("days", "is_given_up"), [(7.9, True), (8.1, False)])
@by_the_role
def test_a_right_that_loses_its_mark_and_ends_within_eight_days_is_given_up_aloud(
    days, is_given_up, scenario
):
    """So is one that its leader gives up; a colleague of the office can undo it."""
    scenario.invite_lead(LEAD)
    scenario.invite_office(OFFICE)
    of_groups, ends_at = update(Right).where(Right.group_id.is_not(None)), now()
    ends_at += timedelta(days=days)
    scenario.execute(of_groups.values(accepted_at=None, ends_at=ends_at))
    drain_in(scenario.worker, minutes=2)
    assert told_of_a_role(scenario) == (sorted([LEAD, OFFICE, INBOX]) if is_given_up else [])
    assert is_proven(scenario, LEAD) != is_given_up
    scenario.seal(RestoreRight(ids(scenario, OFFICE)[0], *ids(scenario, LEAD)))
    scenario.worker.read_jobs()
    assert is_proven(scenario, LEAD)


@by_the_role
def test_a_colleague_of_the_office_whom_the_web_removes_by_a_row_is_told(scenario):
    """So are the others, once: the proof goes as well, and the mark brings nothing back."""
    for address in (COLLEAGUE, OFFICE):
        scenario.invite_office(address)
    own = scenario.account(COLLEAGUE).id
    silence(scenario, f"{SILENCERS['the right']} WHERE account_id = {own}")
    for minutes in (2, 4):
        drain_in(scenario.worker, minutes=minutes)
    assert told_of_a_role(scenario) == sorted([COLLEAGUE, OFFICE, INBOX])
    assert "ended your role" in text_of(scenario.relay.to(COLLEAGUE)[-1])
    assert scenario.right(COLLEAGUE) is None


@by_the_role
def test_a_mark_that_the_web_takes_from_a_right_is_put_back(scenario):
    """What ends a right is told; a mark alone would close its door unheard."""
    scenario.invite_lead(LEAD)
    scenario.invite_office(OFFICE)
    silence(scenario, f"{NOT_ACCEPTED}, ends_at = NULL")
    of_office = update(Right).where(Right.group_id.is_(None))
    scenario.execute(of_office.values(ends_at=now() + timedelta(days=3)))  # nobody gives that up
    scenario.worker._periodic_tasks.run()
    assert is_proven(scenario, LEAD)
    assert is_proven(scenario, OFFICE, None)


@by_the_role
def test_no_mark_of_the_web_turns_an_old_right_into_an_expired_invitation(scenario):
    """Else the web could have leaders and colleagues forgotten, of which nobody would hear."""
    scenario.invite_lead(LEAD)
    scenario.invite_office(OFFICE)
    scenario.execute(update(Right).values(since=now() - timedelta(days=30)))
    silence(scenario, NOT_ACCEPTED)
    # A lock may keep what tells of it from the row, so this may come first.
    with scenario.services.writing.begin() as session:
        end_invitations(scenario.worker.work_in(session))
    silence(scenario, "UPDATE rights SET accepted_at = CURRENT_TIMESTAMP")
    assert is_proven(scenario, LEAD)
    assert is_proven(scenario, OFFICE, None)


def told_of_a_role(scenario) -> list[str]:
    subjects, mails = ("A role has ended", "A role was given back"), scenario.relay.accepted
    return sorted(each.recipient for each in mails if each.message["Subject"] in subjects)


@by_the_role
def test_an_invitation_takes_no_proof_from_a_person_who_has_the_right(scenario):
    """The web hides the right by a mark, invites in a colleague's name, and puts the mark back."""
    for address in (OFFICE, COLLEAGUE):
        scenario.invite_office(address)
    scenario.invite_lead(LEAD)
    by, group = ids(scenario, OFFICE)
    own = scenario.account(OFFICE).id
    silence(scenario, f"{NOT_ACCEPTED} WHERE account_id <> {own}")
    scenario.seal(InviteColleague(by, "L", LEAD, "en", [group]))
    scenario.seal(InviteColleague(by, "C", COLLEAGUE, "en", [PLACE]))
    scenario.worker.read_jobs()
    silence(scenario, "UPDATE rights SET accepted_at = CURRENT_TIMESTAMP")
    assert is_proven(scenario, LEAD)
    assert is_proven(scenario, COLLEAGUE, None)


@alerted
def test_the_operator_hears_of_an_email_that_cannot_be_written(scenario):
    scenario.do(post_to_address, scenario.keyring, "mailbox-changed", MEMBER, "en")
    scenario.worker.drain()
    assert "Emails to people could not be written, so they were not sent\n" in hear(scenario)


@alerted
def test_the_operator_hears_of_a_guess_whose_email_was_held_back_until_it_was_over(scenario):
    """The web may stop all email for a while: by very many rows, or by the relay's day."""
    scenario.enter(MEMBER)
    guess(scenario, "my-groups", MEMBER)
    scenario.worker.read_jobs()
    before = len(scenario.relay.to(MEMBER))
    for minutes in (40, 42, 400, 800):
        drain_in(scenario.worker, minutes=minutes)
    assert len(scenario.relay.to(MEMBER)) == before
    told = [mail["Subject"] for mail in scenario.relay.to(OPERATOR)]
    assert told == [
        "Email has been waiting for more than 15 minutes",
        "Emails to people were held back until it was too late to send them",
    ]


@by_the_role
def test_a_guess_with_a_plus_tag_emails_the_mailbox(scenario):
    """Not all servers deliver plus tags, and its row shows whether its owner joins later."""
    scenario.enter(EVE)
    begun = "join", "my-groups", "change-address", "contact"
    for door in (*begun, "confirm", "join", "my-groups", "not-me", "email-again"):
        before = len(scenario.mails(MEMBER))
        if door in DOORS:
            guess(scenario, door, "ada+x@dpsk12.org")
        else:
            link = link_to(scenario.mails(MEMBER)[0], door)
            scenario.visitor.follow(link, choice="never")
        assert len(scenario.mails(MEMBER)) == before + (door != "not-me"), door


@by_the_role
def test_a_guess_in_a_language_that_nobody_speaks_is_told_too(scenario):
    group = scenario.group(VILLAGE)
    wanted = Join(MEMBER, "zz", group=group.public_id)
    scenario.do(ask_to_join, scenario.services.sealer, group, wanted, now())
    assert len(scenario.mails(MEMBER)) == 1


@alerted
@by_the_role
def test_the_operator_hears_that_a_list_is_asked(scenario):
    """Members of a list are not told: it would be a way to try out guesses unheard."""
    scenario.enter(MEMBER)
    told, begun = [], now() + timedelta(minutes=3)
    for minutes in (0, 1, 120, 121, 362, 800, 2000):
        with time_machine.travel(begun + timedelta(minutes=minutes), tick=False):
            scenario.worker.drain()
            if minutes in {0, 120}:
                guess(scenario, "import", MEMBER)
                scenario.worker.drain()
            told.append(len(scenario.relay.to(OPERATOR)))
    assert told == [0, 1, 1, 1, 2, 2, 2]
    subjects = {mail["Subject"] for mail in scenario.relay.to(OPERATOR)}
    assert subjects == {"People of an imported list are asked to join"}
