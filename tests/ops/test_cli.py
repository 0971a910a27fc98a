"""The commands: good use, bad use, exit codes 0, 1 and 2, and what they print."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from psutil import Process
from sqlalchemy import select

from belong_mail.accounts.models import Account
from belong_mail.core.db import now
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.conftest import KEYS
from tests.database import query
from tests.district_names import NAMED
from tests.factories import group_named, make_member, members_of
from tests.markers import on_sqlite
from tests.ops.copies import refused
from tests.processes import ROOT, SECONDS, run, started, surroundings, wait_until_served
from tests.servers.ports import free_port

pytestmark = on_sqlite
STATES = [
    "queued", "sending", "deferred", "accepted", "bounced", "failed", "suppressed", "withdrawn",
    "expired", "uncertain",
]  # fmt: skip
LEAD = "lead@dpsk12.org"


@pytest.fixture
def issue(tmp_path) -> str:
    file = tmp_path / "issue.md"
    file.write_text("\ufeff# Hello\n\nCome to the **library**.", encoding="utf-8")
    return str(file)


def said(result: Result, exit_code: int, words: str) -> None:
    assert result.exit_code == exit_code, result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_an_issue_is_sent_from_a_file_and_reported_without_addresses(
    cli, issue, worker, relay, services, keyring
):
    """A byte order mark at the beginning of a file is no part of its heading."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
    sent = cli.invoke(
        args=["newsletter", "send", "the-village", issue, "--subject", "Hi", "--json"]
    )
    assert sent.exit_code == 0
    assert list(json.loads(sent.output)) == ["id"]
    name = json.loads(sent.output)["id"]
    worker.drain()
    assert relay.to("ada@dpsk12.org")[0]["Subject"] == "Hi"
    report = cli.invoke(args=["newsletter", "report", name, "--json"])
    counts = json.loads(report.output)
    assert list(counts) == ["recipients", *STATES, "resent"]
    assert counts == dict.fromkeys(counts, 0) | {"recipients": 1, "accepted": 1}
    table = cli.invoke(args=["newsletter", "report", name]).output
    assert dict(line.split("\t") for line in table.splitlines()) == {
        key: str(number) for key, number in counts.items()
    }
    assert query(services, select(Newsletter.text))[0]["en"].startswith("# Hello")
    shown = [cli.invoke(args=asked).output for asked in (["group", "list"], ["hold", "status"])]
    assert "ada" not in "".join([report.output, table, *shown])


def test_newsletters_are_listed_by_where_they_stand_without_their_subjects(
    cli, issue, worker, services, keyring
):
    def send(*more: str) -> str:
        words = ["newsletter", "send", "the-village", issue, "--subject", "Picnic in spring"]
        sent = cli.invoke(args=[*words, *more])
        assert sent.exit_code == 0, sent.output
        return sent.output.strip()

    def listed() -> dict[str, str]:
        lines = cli.invoke(args=["newsletter", "list"]).output.splitlines()
        assert {line.split("\t")[2] for line in lines} == {"the-village"}
        assert all(line.split("\t")[4].isdecimal() for line in lines), "as the log calls it"
        return {line.split("\t")[0]: line.split("\t")[1] for line in lines}

    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
    sent = send()
    assert listed() == {sent: "scheduled"}
    worker.drain()
    later, now_going = send("--at", "2099-01-01 09:00"), send()
    worker._queue_due()
    assert listed() == {later: "scheduled", now_going: "sending", sent: "sent"}
    for command, state in (("pause", "paused"), ("resume", "sending"), ("stop", "stopped")):
        assert cli.invoke(args=["newsletter", command, now_going]).exit_code == 0
        assert listed()[now_going] == state
    assert list(listed()) == [later, now_going, sent]
    assert "Picnic" not in cli.invoke(args=["newsletter", "list"]).output


def test_an_issue_for_later_waits_in_the_districts_time(cli, issue, worker, services):
    """02:30 that does not exist is 03:30; of 01:30 that comes twice it is the first."""
    moments = {
        "2099-07-01 09:00": datetime(2099, 7, 1, 15, tzinfo=UTC),
        "2099-07-01T09:00": datetime(2099, 7, 1, 15, tzinfo=UTC),
        "2099-07-01T09:00:00": datetime(2099, 7, 1, 15, tzinfo=UTC),
        "2099-03-08 02:30": datetime(2099, 3, 8, 9, 30, tzinfo=UTC),
        "2099-11-01 01:30": datetime(2099, 11, 1, 7, 30, tzinfo=UTC),
    }
    command = ["newsletter", "send", "the-village", issue, "--subject", "Hi", "--at"]
    for at in moments:
        said(cli.invoke(args=[*command, at]), 0, "")
    worker.drain()
    with services.reading.begin() as session:
        found = session.execute(select(Newsletter.due_at, Newsletter.queued_at)).all()
    assert found == [(moment, None) for moment in moments.values()]


@pytest.mark.parametrize(
    ("content", "subject", "options", "words"),
    [
        (None, "Hi", [], "does not exist"),
        (b"\xff\xfe\x00", "Hi", [], "not UTF-8"),
        (b"", "Hi", [], "The text must have words"),
        (b"x" * 100_001, "Hi", [], "at most 100,000 characters"),
        (b"Hello", "", [], "The subject must be one line"),
        (b"Hello", "a\r\nBcc: eve@example.org", [], "The subject"),
        (b"Hello", "Hi", ["--at", "tomorrow"], "tomorrow"),
        (b"Hello", "Hi", ["--at", "2026-13-01"], "2026-13-01"),
    ],
)
def test_an_issue_that_is_not_right_is_refused_and_nothing_is_kept(
    content, subject, options, words, cli, tmp_path, services
):
    file = tmp_path / "issue.md"
    if content is not None:
        file.write_bytes(content)
    command = ["newsletter", "send", "the-village", str(file), "--subject", subject, *options]
    said(cli.invoke(args=command), 2, words)
    assert query(services, select(Newsletter)) == []


def test_an_unknown_group_folder_or_issue_is_wrong_use(cli, issue, tmp_path):
    send = ["newsletter", "send"]
    said(cli.invoke(args=[*send, "no-such", issue, "--subject", "Hi"]), 2, "no group “no-such”")
    said(cli.invoke(args=[*send, "the-village", str(tmp_path), "--subject", "Hi"]), 2, "directory")
    said(cli.invoke(args=[*send, "the-village", issue]), 2, "Missing option '--subject'")
    said(cli.invoke(args=["newsletter", "report", "no-such"]), 2, "no newsletter “no-such”")
    cli.invoke(args=["group", "retire", "the-village"])
    said(cli.invoke(args=[*send, "the-village", issue, "--subject", "Hi"]), 2, "no group")


@pytest.mark.parametrize("verb", ["release", "cancel"])
def test_a_held_issue_of_a_group_without_leads_is_freed_by_the_office(
    verb, cli, worker, relay, services, keyring
):
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        issue = newsletters.draft(session, group_named(session, "the-village"), "Hi", "Hello")
        issue.due_at = now() - timedelta(hours=2)
    worker.drain()
    with services.reading.begin() as session:
        assert session.get_one(Newsletter, issue.id).held_at is not None
    other = {"release": "cancel", "cancel": "release"}[verb]
    said(cli.invoke(args=["newsletter", verb, issue.public_id]), 0, "")
    worker.drain()
    with services.reading.begin() as session:
        found = session.get_one(Newsletter, issue.id)
        assert found.held_at is None
        assert newsletters.is_draft(found) == (verb == "cancel")
    assert len(relay.accepted) == (1 if verb == "release" else 0)
    said(cli.invoke(args=["newsletter", other, issue.public_id]), 1, "The newsletter is")
    said(cli.invoke(args=["newsletter", verb, "no-such"]), 2, "no newsletter “no-such”")


def test_groups_are_listed_added_and_retired(cli):
    lines = cli.invoke(args=["group", "list"]).output.splitlines()
    assert len(lines) == 10
    assert lines[0].split("\t")[1:] == ["established", "African American/Black"]
    said(cli.invoke(args=["group", "add", "new-one", "New One"]), 0, "in the directory")
    assert "new-one\testablished\tNew One" in cli.invoke(args=["group", "list"]).output
    for slug in ("new-one", "New One", "../x", "a--b", ""):
        said(cli.invoke(args=["group", "add", slug, "Again"]), 2, "taken, or is not like")
    said(cli.invoke(args=["group", "retire", "new-one"]), 0, "retired")
    assert "new-one" not in cli.invoke(args=["group", "list"]).output
    said(cli.invoke(args=["group", "retire", "new-one"]), 2, "no group")


def test_a_lead_is_invited_in_a_language_and_a_second_invitation_keeps_it(cli, services):
    invite = ["lead", "invite", LEAD, "--group"]
    for options, language in (
        (["asian"], "en"),
        (["asian", "--language", "es"], "es"),
        (["lgbtq"], "es"),
    ):
        said(cli.invoke(args=[*invite, *options]), 0, "Invited to lead the ")
        assert query(services, select(Account.language)) == [language]
    said(cli.invoke(args=[*invite, "asian", "--language", "fr"]), 2, "--language")


def test_leads_are_counted_and_never_named(cli):
    group = ["--group", "the-village"]
    outputs = [cli.invoke(args=["lead", "invite", LEAD, *group]).output]
    outputs.append(cli.invoke(args=["lead", "list"]).output)
    assert "the-village\t0\t1 invited\n" in outputs[-1]
    for stranger in ("lead@dpsk12.org.example.com", "lead@gmail.com", "lead@students.dpsk12.org"):
        said(cli.invoke(args=["lead", "invite", stranger, *group]), 2, "not a work address")
        said(cli.invoke(args=["office", "invite", stranger]), 2, "not a work address")
    said(cli.invoke(args=["lead", "invite", "not an address", *group]), 2, "not an email address")
    said(cli.invoke(args=["lead", "invite", LEAD, "--group", "no-such"]), 2, "no group")
    said(cli.invoke(args=["lead", "invite", LEAD]), 2, "Missing option")
    outputs.append(cli.invoke(args=["lead", "remove", LEAD.upper(), *group]).output)
    assert "the-village\t0\n" in cli.invoke(args=["lead", "list"]).output
    said(cli.invoke(args=["lead", "remove", LEAD, *group]), 1, "does not lead")
    assert LEAD not in "".join(outputs).lower()


def test_made_up_members_are_confirmed_and_for_development_only(cli, environment, services):
    demo = ["demo", "--group", "asian", "--members"]
    said(cli.invoke(args=[*demo, "1234"]), 0, "asian: 1234")
    said(cli.invoke(args=[*demo, "1"]), 0, "asian: 1")
    with services.reading.begin() as session:
        assert members_of(session, "asian") == 1235
    for number in ("0", "-1", "many", "1000001"):
        said(cli.invoke(args=[*demo, number]), 2, "--members")
    said(cli.invoke(args=["demo", "--group", "no-such", "--members", "1"]), 2, "no group")
    ended = run({**environment, **NAMED}, *demo, "1")
    assert (ended.returncode, ended.stderr) == (
        1, "Error: Made-up people are for development only.\n",
    )  # fmt: skip


def test_new_keys_are_settings_that_fit_together(cli, services):
    outputs = [cli.invoke(args=["keys", "new"]).output for _ in range(2)]
    made = [dict(line.split("=", 1) for line in output.splitlines()) for output in outputs]
    assert list(made[0]) == [f"BELONG_{kind.upper()}_KEYS" for kind in KEYS]
    assert not set(made[0].values()) & set(made[1].values())
    given = {"BELONG_STATE_FOLDER": str(services.settings.state_folder), **made[0]}
    assert run(given, "keys", "new").returncode == 0


def test_prepare_fills_an_empty_instance_once(environment, services):
    for _ in range(2):
        assert run(environment, "prepare").returncode == 0
    with services.reading.begin() as session:
        assert members_of(session, "the-village") == 5
        assert len(session.scalars(select(Newsletter)).all()) == 2


KEYS_MISSING = "BELONG_PRIVATE_KEYS and BELONG_INDEX_KEYS are not set"
NOWHERE = {"BELONG_DATABASE_URL": "sqlite:////no/such/folder/x.db"}


@pytest.mark.parametrize(
    ("command", "changed", "words"),
    [
        ("worker --drain", {"BELONG_INDEX_KEYS": ""}, KEYS_MISSING),
        (f"lead invite {LEAD} --group asian", {"BELONG_PRIVATE_KEYS": ""}, KEYS_MISSING),
        ("db upgrade", NOWHERE, "The database cannot be used (OperationalError"),
        ("worker", NOWHERE, "The database cannot be used (OperationalError"),
    ],
)
def test_a_command_that_lacks_keys_or_its_database_ends_with_a_sentence(
    command, changed, words, environment, app
):
    told = refused({**environment, **changed}, *command.split())
    assert told.startswith(f"Error: {words}")
    assert len(told.splitlines()) == 1
    assert ("`belong db upgrade`" in told) is (changed == NOWHERE)


@pytest.mark.parametrize("command", ["group list", "worker --drain"])
def test_settings_that_are_not_right_end_every_command_with_all_complaints(command, environment):
    bad = {"BELONG_COLOUR": "geheim", "BELONG_TIMEZONE": "geheim", "BELONG_SMTP_URL": "geheim"}
    told = refused({**environment, **bad}, *command.split())
    for name in bad:
        assert name in told
    assert "geheim" not in told


@pytest.mark.parametrize("host", ["192.0.2.7", "0.0.0.0", "::", "belong.example.org"])  # noqa: S104
def test_development_listens_to_this_machine_alone(host, environment):
    ended = run(environment, "web", "--host", host, "--port", str(free_port()))
    assert ended.returncode == 2
    assert "BELONG_ENV=production" in ended.stderr


def test_production_is_served_behind_a_proxy_alone(environment):
    told = refused({**environment, **NAMED}, "web", "--port", str(free_port()))
    assert "BELONG_PROXIES is 0" in told
    assert "Set it to 1 behind one nginx or Caddy" in told


def test_the_web_server_forgets_the_workers_keys(environment, app, tmp_path):
    """Given as values and as files. It stops also while its workers may still be starting."""
    (tmp_path / "index").write_text(KEYS["index"])
    given = {**environment, "BELONG_INDEX_KEYS_FILE": str(tmp_path / "index")}
    del given["BELONG_INDEX_KEYS"]
    port = free_port()
    with started(given, "web", "--port", str(port)) as process:
        wait_until_served(port)
        family = [process.pid, *(each.pid for each in Process(process.pid).children())]
        assert len(family) > 1
        for pid in family:
            its_own = Path(f"/proc/{pid}/environ").read_bytes()
            assert KEYS["private"].encode() not in its_own
            assert b"BELONG_INDEX_KEYS_FILE" not in its_own
            assert KEYS["public"].encode() in its_own
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def test_in_production_no_command_shows_its_memory_to_another_process(environment):
    code = "import wsgi, ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    asked = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=surroundings({**environment, **NAMED}),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert asked.stdout.strip() == "0"
