"""A dead worker, and whatever stands too long, is noticed without the relay's help."""

import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from belong_mail.core.db import now
from belong_mail.core.encrypted_file import new_key_pair
from belong_mail.core.jobs import Job
from belong_mail.delivery import outbox, pause
from belong_mail.delivery.models import Delivery, State
from belong_mail.monitoring.checks import CHECKS
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.hold import Host
from belong_mail.worker.loop import Worker
from tests.database import execute, query
from tests.delivery.factories import queue
from tests.factories import make_members, queue_issue
from tests.markers import on_both, on_sqlite
from tests.monitoring.looking import figures
from tests.processes import ROOT, flask, run, surroundings

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def status(cli) -> list[str]:
    """Ask for what stands too long; the exit code and the words must agree."""
    ended = cli.invoke(args=["status"])
    assert ended.exit_code == int(bool(ended.output)), ended.output
    assert "dpsk12" not in ended.output
    return ended.output.splitlines()


def ready(visitor) -> str:
    answer = visitor.client.get("/readyz")
    assert answer.status_code == (200 if answer.text == "ok\n" else 503)
    return answer.text


@on_sqlite
def test_a_backup_that_did_not_come_is_noticed_where_one_ever_came(
    clock, worker, cli, services, tmp_path
):
    """From a day and a half on; who backs up in another way is not told of it."""
    clock.shift(99 * HOUR)
    worker.drain()
    assert status(cli) == []
    assert cli.invoke(args=["db", "backup", str(tmp_path / "copy")]).exit_code == 0
    clock.shift(36 * HOUR)
    worker.drain()
    assert status(cli) == []
    clock.shift(HOUR)
    worker.drain()
    [said] = status(cli)
    assert said.startswith("The last backup is more than 36 hours old, or none was made. ")
    assert figures(services)["backup_seconds"] == str(37 * 60 * 60)


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_BACKUP_RECIPIENT": new_key_pair()[1]}])
def test_a_backup_that_was_set_up_and_never_made_is_noticed(worker, cli):
    worker.drain()
    [said] = status(cli)
    assert said.startswith("The last backup is more than 36 hours old, or none was made. ")


def test_a_worker_that_died_is_noticed_though_nothing_waits(clock, worker, cli, visitor):
    assert status(cli) == [
        "No worker has run on this database yet. Start one: nothing is read or sent."
    ]
    assert ready(visitor) == "ok\n"
    worker.drain()
    clock.shift(MINUTE)
    assert status(cli) == []
    assert ready(visitor) == "ok\n"
    clock.shift(2 * MINUTE)
    [words] = status(cli)
    dead = "No worker has shown that it is running for two minutes (now 3 minutes)."
    assert words.startswith(f"{dead} Check its log")
    assert ready(visitor) == f"{dead}\n"
    worker.drain()
    assert status(cli) == []


def test_a_worker_that_only_starts_again_and_again_is_a_dead_one(
    clock, worker, services, keyring, cli
):
    """Such as one that falls over its first turn: it looks in each time, and does nothing."""
    worker.drain()
    for _ in range(5):
        clock.shift(MINUTE)
        failing = Worker(services, keyring)
        assert failing._is_free()
        failing.engine.close()
    assert "(now 5 minutes)" in status(cli)[0]


def test_a_long_lived_worker_shows_that_it_lives(clock, worker, cli, services):
    """Each turn that met the database writes down that the turns before it ended well."""
    for _ in range(3):
        worker._meet_at = 0.0
        worker._turn()
        clock.shift(90 * timedelta(seconds=1))
    assert status(cli) == []
    assert query(services, select(Host.worked_at)) == [now() - timedelta(seconds=90)]


def test_a_heartbeat_of_a_clock_that_was_ahead_is_no_sign_of_life(worker, services, cli, visitor):
    worker.drain()
    execute(services, update(Host).values(worked_at=now() + DAY, seen_at=now() + DAY))
    ahead = "The last sign of a worker is ahead of this machine's clock"
    assert status(cli)[0].startswith(f"{ahead} (now 14")
    assert ready(visitor).startswith(ahead)


def test_a_held_worker_is_on_hold_and_not_dead(worker, cli, visitor):
    worker.drain()
    cli.invoke(args=["hold", "begin"])
    worker._meet_at = 0.0
    worker.drain()
    assert status(cli) == ["Sending is on hold. See `hold status`."]
    assert ready(visitor) == "Sending is on hold.\n"


@on_sqlite
def test_a_disk_that_is_nearly_full_is_noticed_before_it_is_full(environment, tmp_path):
    """A disk of one megabyte, on which the state folder stands."""
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("NOT TESTED: disks that are nearly full; mounting needs root")
    small, free = tmp_path / "small", "A disk that web and worker write to is nearly full (now "
    small.mkdir()
    settings = surroundings({**environment, "BELONG_STATE_FOLDER": str(small)})
    mounting = f'mount -t tmpfs -o size=1m none "{small}" && exec "$@"'
    asked = flask("status")
    full = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounting, "sh", *asked],
        cwd=ROOT, env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    usual = run({**environment, "BELONG_STATE_FOLDER": str(small)}, "status")
    assert full.returncode == 1
    assert re.search(rf"^{re.escape(free)}[01] MB\)\.", full.stdout, re.MULTILINE), full.stdout
    assert free not in usual.stdout


def test_each_check_is_emailed_shown_to_the_office_or_stops_forms_as_it_should():
    """Which of them call somebody, the rules for Prometheus say."""
    assert {
        told: {each.name for each in CHECKS if getattr(each, told)}
        for told in ("emails", "office", "stops")
    } == {
        "emails": {
            "oldest_due_seconds", "oldest_request_seconds", "requests", "flooded", "unwritable",
            "too_late", "asked_of_lists", "unusual_lookups", "failed_lookups", "failing_tasks",
            "undelivered", "coming_back", "inbound_seconds",
        },
        "office": {
            "worker_missing", "worker_seconds", "on_hold", "disk_free_bytes", "oldest_due_seconds",
            "oldest_request_seconds", "undelivered", "inbound_seconds",
        },
        "stops": {
            "worker_seconds", "worker_ahead_seconds", "on_hold", "disk_free_bytes",
            "oldest_request_seconds",
        },
    }  # fmt: skip


@on_sqlite
def test_a_file_that_the_web_cannot_write_to_is_noticed(worker, cli, services):
    """Its folder is shared with a group, and the file, its log or its index is not."""
    worker.drain()
    file = Path(services.engine.url.database or "")
    assert status(cli) == [], "nobody shares the folder"
    file.parent.chmod(0o2770)
    for each in file.parent.glob(f"{file.name}*"):
        each.chmod(0o660)
    assert status(cli) == []
    file.chmod(0o640)
    [words] = status(cli)
    assert words.startswith("The web cannot write to the database: forms answer 503.")
    assert words.endswith(f"chgrp {file.parent.stat().st_gid} {file}*; chmod 660 {file}*")
    assert f"WRONG\t{words}" in cli.invoke(args=["doctor"]).output
    file.chmod(0o660)
    if os.geteuid() == 0:
        shutil.chown(file, group=4321)
        assert status(cli) == [words], "the group of its folder"
        shutil.chown(file, group=file.parent.stat().st_gid)
    log = file.with_name(f"{file.name}-wal")
    log.touch()
    log.chmod(0o600)
    assert status(cli) == [words]


def test_requests_that_nobody_reads_are_noticed(clock, visitor, cli, services):
    visitor.join("asian", "ada@dpsk12.org")
    clock.shift(16 * MINUTE)
    waits = "Requests have been waiting to be read for more than 15 minutes (now 16 minutes)."
    assert [each for each in status(cli) if each.startswith(waits)]
    assert ready(visitor) == f"{waits}\n"
    for values in ({"failures": 3}, {"failures": 0, "due_at": now()}):
        execute(services, update(Job).values(values))
        assert ready(visitor) == "ok\n", "It was put aside, or is to be read now."


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "2"}])
def test_status_says_that_email_waits_for_our_own_daily_quota(clock, cli, services, worker):
    queue(services, 3)
    worker.drain()
    clock.shift(16 * MINUTE)
    said = [each for each in status(cli) if each.startswith("Email has been waiting")]
    assert ["BELONG_DAILY_QUOTA is used up" in each for each in said] == [True]


@on_both("migrations")
def test_an_old_schema_is_not_ready(visitor, services, cli):
    with services.writing.begin() as session:
        version = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '0.9'"))
    try:
        words = "The database schema is not up to date. Run `db upgrade`."
        assert ready(visitor) == f"{words}\n"
        assert status(cli) == [words]
        assert cli.invoke(args=["doctor"]).output.startswith(f"WRONG\t{words}\n")
    finally:
        with services.writing.begin() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def test_status_reports_everything_that_stays_in_a_state_too_long(worker, services, keyring, cli):
    worker.drain()
    assert status(cli) == []
    with services.writing.begin() as session:
        make_members(session, keyring, 1)
        issues = [queue_issue(session) for _ in range(10)]
    worker.drain()
    planned, on_hold = {"queued_at": None}, {"queued_at": None, "due_at": None}
    long_ago = now() - 2 * DAY
    states: list[dict[str, object]] = [
        planned | {"due_at": now() - HOUR},
        planned | {"due_at": now() - 14 * MINUTE},
        on_hold | {"held_at": long_ago},
        on_hold | {"held_at": now() - 23 * HOUR},
        {"paused_at": long_ago},
        {"paused_at": long_ago, "stopped_at": now()},
        {"paused_at": None, "queued_at": long_ago},  # the web took the mark away
        on_hold | {"held_at": now() + 9000 * DAY},
        {"paused_at": now() + 9000 * DAY},
        {"paused_at": now() - 23 * HOUR, "queued_at": long_ago},
    ]
    with services.writing.begin() as session:
        for issue, values in zip(issues, states, strict=True):
            session.execute(update(Newsletter).where(Newsletter.id == issue.id).values(values))
            if "paused_at" in values and "stopped_at" not in values:
                pause.pause(session, issue.id)
        session.add(Job(kind="join", sealed=b"", failures=3))
        outbox.post(session, "welcome-member", subscription_id=1)
        doubtful = {"state": State.UNCERTAIN, "due_at": now() - HOUR}
        session.execute(update(Delivery).where(Delivery.newsletter_id.is_(None)).values(doubtful))
    words = "\n".join(status(cli))
    assert "Newsletters whose time has passed were not sent (now 1)." in words
    assert f"They are: {' '.join(issues[each].public_id for each in (2, 4, 6, 7, 8))}." in words
    assert "Requests cannot be read, and are deleted after seven days (now 1)." in words
    assert "Email has been waiting for more than 15 minutes (now 60 minutes)." in words
    with services.writing.begin() as session:
        tried = {"state": State.EXPIRED, "attempts": 1, "due_at": None, "finished_at": now()}
        session.execute(update(Delivery).where(Delivery.newsletter_id.is_(None)).values(tried))
    assert "too late" not in "\n".join(status(cli)), "it was tried in time"


@on_both("a worker that sleeps")
def test_try_now_wakes_a_running_worker_that_leaves_the_relay_alone(
    clock, worker, relay, services, cli
):
    """The password was wrong, for which it waits a quarter of an hour; the quota for an hour."""
    queue(services, 3)
    relay.always("MAIL", "535 5.7.8 Authentication credentials invalid")
    worker.drain()
    relay.usual()
    clock.shift(2 * MINUTE)
    worker.drain()
    assert relay.accepted == []
    said = cli.invoke(args=["outbox", "retry"])
    assert said.output.startswith("Messages due now: 3.")
    worker._meet_at = 0.0
    worker.drain()
    assert len(relay.accepted) == 3
    assert query(services, select(Host.retry_asked_at)) == [None], "once"
