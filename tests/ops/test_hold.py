"""A restored or cloned database sends nothing until somebody says so."""

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text, update

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery, State
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import hold, outbox
from belong_mail.ops.hold import CHANGED, REASONS, Host
from belong_mail.ops.host_state import HostStateFile
from tests.database import execute, query
from tests.db_dump import kept_of
from tests.delivery.factories import books, deliveries, queue
from tests.factories import group_named, queue_at_once
from tests.markers import on_both, on_sqlite
from tests.ops.copies import Settings, refused
from tests.processes import run
from tests.servers.smtp import drop

on_both_traces = on_both("traces of a copied database")

NOTHING_WAITS = "Nothing is waiting.\n"


def drain(settings: Settings) -> tuple[int, str]:
    """Let a worker of a process of its own do what is due; return its exit code and its words."""
    ended = run(settings, "worker", "--drain")
    return ended.returncode, ended.stdout + ended.stderr


def is_held(settings: Settings) -> str:
    """Return why this host is on hold; the command and the worker must agree."""
    told = run(settings, "hold", "status")
    code, words = drain(settings)
    assert code == told.returncode, told.stdout + words
    assert "Traceback" not in told.stdout + told.stderr + words
    return told.stdout if code else ""


def witness(settings: Settings) -> Path:
    return Path(settings["BELONG_STATE_FOLDER"]) / "witness"


def elsewhere(settings: Settings, tmp_path) -> Settings:
    return {**settings, "BELONG_STATE_FOLDER": str(tmp_path / "other-host")}


def test_a_host_that_the_database_does_not_know_does_nothing_until_released_then_all_once(
    environment, relay, services, tmp_path, visitor
):
    """A copy of the database on another machine; or a second machine that is to join."""
    assert drain(environment) == (0, NOTHING_WAITS)
    assert witness(environment).stat().st_mode & 0o777 == 0o600
    issue = queue(services, 3)
    visitor.join("asian", "new@dpsk12.org")
    other = elsewhere(environment, tmp_path)
    for _ in range(2):
        code, words = drain(other)
        assert code == 1
        assert "Sending is on hold: this host and the database are not as they last met" in words
    assert relay.accepted == []
    others = run(environment, "hold", "status").stdout
    assert others == "Other hosts on hold: 1.\nSending is not on hold.\n"
    assert "on hold" not in run(environment, "status").stdout, "some email leaves"
    assert books(services, issue) == {"recipients": 3, "queued": 3}
    assert len(query(services, select(Job.id))) == 1
    told = run(other, "hold", "status")
    assert told.returncode == 1
    assert "What changed: this host's state folder has not worked on this database" in told.stdout
    assert "3 queued, 1 requests" in told.stdout
    assert "dpsk12" not in told.stdout
    assert "Other hosts" not in told.stdout
    said = run(other, "hold", "release")
    assert (said.returncode, said.stdout) == (
        0, "Released. Waiting: 3 queued, 1 requests. A running worker resumes within seconds.\n",
    )  # fmt: skip
    assert drain(other) == (0, NOTHING_WAITS)
    assert drain(environment) == (0, NOTHING_WAITS)
    assert sorted(one.recipient for one in relay.accepted) == [
        "member0@dpsk12.org", "member1@dpsk12.org", "member2@dpsk12.org", "new@dpsk12.org",
    ]  # fmt: skip


def _put_back(services, rows: list[tuple[str, int]]) -> None:
    """Make the database what it was: what its hosts knew then."""
    with services.writing.begin() as session:
        session.execute(delete(Host))
        session.add_all(Host(folder=folder, epoch=epoch) for folder, epoch in rows)


@on_both_traces
def test_an_older_database_under_the_same_host_is_on_hold(environment, relay, services):
    assert drain(environment) == (0, NOTHING_WAITS)
    then = [(host.folder, host.epoch) for host in query(services, select(Host))]
    assert drain(environment) == (0, NOTHING_WAITS)
    queue(services, 1)
    _put_back(services, then)
    assert "What changed: the database is older than what this host last saw" in is_held(
        environment
    )
    told = run(environment, "hold", "status").stdout
    assert "`hold release --doubt` if it may have been sent since" in told
    assert relay.accepted == []
    assert run(environment, "hold", "release").returncode == 0
    assert drain(environment) == (0, NOTHING_WAITS)
    assert len(relay.accepted) == 1


def test_a_host_that_knows_another_database_takes_no_other_for_its_own(
    environment, relay, services, tmp_path
):
    """Neither one that nobody has worked on, nor one from which email was sent."""
    queue(services, 1)
    other = elsewhere(environment, tmp_path)
    assert run(other, "hold", "status").returncode == 0
    witness(other).write_text(json.dumps({"folder": "other", "epoch": 7, "place": "elsewhere"}))
    for hosts in ([], [("another", 3)]):
        _put_back(services, hosts)
        assert "has not worked on this database" in is_held(other)
    assert relay.accepted == []


@on_both_traces
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("machine", "another", "comes from another machine"),
        ("place", "another", "another file or cluster"),
        ("epoch", 0, "another copy of this host works on the database"),
    ],
)
def test_a_cloned_machine_a_moved_database_or_a_twin_of_this_host_is_on_hold(
    key, value, words, environment, services
):
    assert drain(environment) == (0, NOTHING_WAITS)
    seen = json.loads(witness(environment).read_text())
    if not seen[key]:
        pytest.skip("NOT TESTED: clones of machines; there is no /etc/machine-id")
    witness(environment).write_text(json.dumps({**seen, key: value}))
    assert words in is_held(environment)
    assert run(environment, "hold", "release").returncode == 0
    assert not is_held(environment)


def test_nothing_is_moved_while_a_worker_of_another_host_looks_in(clock, services, cli):
    with services.writing.begin() as session:
        session.add(Host(folder="another", epoch=1))
    for seconds, words in ((29, "A worker is running on the database"), (2, "cannot be read")):
        clock.shift(seconds)
        assert words in cli.invoke(args=["db", "move", "no-such-file"]).output


def test_a_worker_that_is_cut_off_between_database_and_witness_goes_on(environment, services):
    assert drain(environment) == (0, NOTHING_WAITS)
    state_file = HostStateFile(witness(environment).parent)
    with suppress(InterruptedError), state_file.locked_update() as seen:
        execute(services, update(Host).values(epoch=seen.epoch + 1))
        raise InterruptedError
    assert not is_held(environment)


@on_both_traces
def test_a_hold_begun_by_hand_holds_every_host_until_each_is_released(
    environment, relay, services, tmp_path
):
    other = elsewhere(environment, tmp_path)
    assert drain(environment) == (0, NOTHING_WAITS)
    assert run(other, "hold", "release").returncode == 0
    assert run(environment, "hold", "begin").returncode == 0
    queue(services, 1)
    for each in (environment, other):
        assert "someone ran `hold begin`" in is_held(each)
    assert relay.accepted == []
    assert run(environment, "hold", "release").returncode == 0
    assert not is_held(environment)
    assert len(relay.accepted) == 1
    assert run(environment, "hold", "release").stdout == "Sending is not on hold.\n"


def test_a_held_worker_deletes_nothing_and_takes_nothing_over(
    worker, worker_with, services, keyring, cli
):
    worker.drain()
    queue(services, 1)
    execute(services, text("UPDATE deliveries SET state = 'sending'"))
    cli.invoke(args=["hold", "begin"])
    before = kept_of(services)
    held = worker_with(keyring)
    held.drain()
    assert held.held_because == "asked"
    assert kept_of(services) == before
    execute(services, update(Host).values(held_because="no reason of ours"))
    held.drain()
    assert held.held_because == CHANGED


def test_a_worker_that_comes_on_hold_gives_back_what_it_has_in_hand(
    worker, services, relay, cli, caplog
):
    """Copies that it had begun are finished and written down; the rest waits for the release."""
    caplog.set_level("INFO")
    issue = queue(services, 60)
    may_go_on = relay.hold_after(10)
    while len(relay.accepted) < 10:
        worker._turn()
    assert books(services, issue)["sending"] > 0
    cli.invoke(args=["hold", "begin"])
    worker._meet_at = 0.0
    may_go_on.set()
    worker._turn()
    assert worker.held_because == "asked"
    done = len(relay.accepted)
    assert 0 < done < 60
    assert books(services, issue) == {"recipients": 60, "accepted": done, "queued": 60 - done}
    worker._turn()
    assert len(relay.accepted) == done
    cli.invoke(args=["hold", "release"])
    worker.drain()
    assert books(services, issue) == {"recipients": 60, "accepted": 60}
    told = [each for each in caplog.messages if each.startswith("Sending ")]
    assert told == [
        f"Sending is on hold: {REASONS['asked']}",
        "Sending goes on: it is no longer on hold.",
    ]


@on_sqlite
def test_mail_that_stays_on_this_machine_needs_no_release(environment, services, tmp_path):
    """A copy may be looked at, with `mailbox:` in place of a relay."""
    assert drain(environment) == (0, NOTHING_WAITS)
    queue(services, 1)
    other = elsewhere({**environment, "BELONG_SMTP_URL": "mailbox:"}, tmp_path)
    assert drain(other) == (0, NOTHING_WAITS)


@on_sqlite
def test_a_witness_that_cannot_be_read_ends_with_a_sentence(environment, services):
    drain(environment)
    witness(environment).write_text("{")
    for command in (("worker", "--drain"), ("hold", "status"), ("hold", "release")):
        assert refused(environment, *command).startswith("Error: BELONG_STATE_FOLDER")


def test_leads_read_on_their_pages_that_sending_is_on_hold(lead, visitor, cli, services):
    for command, is_held in (("status", False), ("begin", True), ("release", False)):
        cli.invoke(args=["hold", command])
        for language, words in (
            ("en", "Sending is on hold."),
            ("es", "Los envíos están en pausa."),
        ):
            assert (words in lead.open(f"/lead/?lang={language}").text) is is_held
            assert words not in visitor.open(f"/?lang={language}").text
    cli.invoke(args=["hold", "begin"])
    for minutes, is_held in ((3, True), (1, False)):
        with services.writing.begin() as session:
            seen_at = now() - timedelta(minutes=minutes)
            session.add(Host(folder=f"{minutes} ago", epoch=1, seen_at=seen_at))
        assert ("Sending is on hold." in lead.open("/lead/").text) is is_held, "another host works"


def test_hold_status_counts_what_would_leave_again_and_release_can_take_it_for_uncertain(
    environment, worker, relay, services, visitor
):
    """A copy made while an issue left: what it holds as waiting may have left since."""
    assert drain(environment) == (0, NOTHING_WAITS)
    begun = queue(services, 5)
    visitor.join("asian", "ada@dpsk12.org")
    relay.always("RCPT", "451 4.3.0 Later")
    assert drain(environment)[0] == 0
    relay.usual()
    with services.writing.begin() as session:
        paused = queue_at_once(worker, session)
        release.act(session, paused, release.pause)
        waiting = queue_at_once(worker, session).id
        village = group_named(session, "the-village")
        newsletters.draft(session, village, "Hi", "Hello")
        newsletters.draft(session, village, "Hi", "Hello").due_at = now() + timedelta(days=9)
        copies = session.scalars(select(Delivery.id).where(Delivery.newsletter_id == begun)).all()
        taken = update(Delivery).where(Delivery.id.in_(copies[:2]))
        session.execute(taken.values(state=State.SENDING, claimed_by="gone", due_at=None))
    assert run(environment, "hold", "begin").returncode == 0
    told = run(environment, "hold", "status").stdout
    assert "Waiting: 4 deferred, 5 queued, 1 scheduled." in told
    said = run(environment, "hold", "release", "--doubt")
    assert said.stdout.startswith("Newsletters paused: 2.")
    for _ in range(2):
        assert drain(environment)[0] == 0
    assert {one.recipient for one in relay.accepted} <= {"ada@dpsk12.org"}
    assert books(services, begun) == {"recipients": 5, "uncertain": 5}
    assert {each.claimed_by for each in deliveries(services)} == {None}
    for issue in (waiting, paused.id):
        assert books(services, issue) == {"recipients": 5, "queued": 5}


def test_a_release_as_uncertain_pauses_issues_to_be_resent_but_no_stopped_one(
    worker, relay, services
):
    relay.always("DOT", drop())
    issue = queue(services, 2)
    worker.drain()
    with services.writing.begin() as session:
        assert hold.waiting(session) == {"uncertain": 2}
        stopped = queue_at_once(worker, session)
        release.act(session, stopped, release.stop)
        in_hand = Delivery(kind="newsletter", newsletter_id=stopped.id, state=State.SENDING)
        in_hand.subscription_id, in_hand.due_at = 1, None
        session.add(in_hand)
        session.flush()
        assert outbox.doubt_copies(session, timedelta(hours=3)) == 1
        session.refresh(in_hand)
        assert (in_hand.due_at or now()) > now() + timedelta(hours=2)
        assert session.get_one(Newsletter, issue).paused_at is not None
        assert stopped.paused_at is None


@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}, {"BELONG_UNCERTAIN": "0"}])
def test_copies_taken_for_uncertain_are_resent_only_if_the_setting_says_so(
    settings, environment, relay, services
):
    assert drain(environment) == (0, NOTHING_WAITS)
    issue = queue(services, 2)
    relay.always("RCPT", "451 4.3.0 Later")
    assert drain(environment)[0] == 0
    relay.usual()
    execute(services, update(Host).values(held_because=CHANGED))
    assert run(environment, "hold", "release", "--doubt").returncode == 0
    assert drain(environment)[0] == 0
    with services.writing.begin() as session:
        newsletter = session.get_one(Newsletter, issue)
        assert newsletter.paused_at is not None
        release.act(session, newsletter, release.resume)
    assert drain(environment)[0] == 0
    is_again = settings["BELONG_UNCERTAIN"] == "0"
    assert len(relay.accepted) == (2 if is_again else 0)
    counted = {"accepted": 2, "resent": 2} if is_again else {"uncertain": 2}
    assert books(services, issue) == {"recipients": 2, **counted}
