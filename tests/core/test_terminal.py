"""Commands' questions to a person at a terminal, and none to a script."""

import os
import pty
import subprocess
from multiprocessing.connection import wait as wait_for

from sqlalchemy import func, select

from belong_mail.delivery.models import Delivery
from belong_mail.newsletters.models import Newsletter
from tests.factories import make_members, members_of, queue_at_once
from tests.markers import on_sqlite
from tests.processes import SECONDS, ended, fork, run


def at_terminal(settings, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as somebody does who sits at a terminal, and answers its question."""
    ours, theirs = pty.openpty()
    process = fork(settings, arguments, *[os.ttyname(theirs)] * 3)
    try:
        os.write(ours, f"{answer}\n".encode())
        said = b""
        while ours in wait_for([ours, process.sentinel], SECONDS):
            said += os.read(ours, 65536)
    finally:
        code = ended(process)
        os.close(ours)
        os.close(theirs)
    return subprocess.CompletedProcess(arguments, code, said.decode(), "")


def issue(worker, services, keyring) -> str:
    with services.writing.begin() as session:
        make_members(session, keyring, 2)
        return queue_at_once(worker, session).public_id


def is_stopped(services) -> bool:
    with services.reading.begin() as session:
        return session.scalar(select(Newsletter.stopped_at)) is not None


@on_sqlite
def test_an_irreversible_command_asks_first_at_a_terminal(environment, worker, services, keyring):
    """“--yes” answers, and a script is not asked."""
    name = issue(worker, services, keyring)
    question = "It cannot be resumed after that. Stop it for good? [y/N]"
    for answer, code in (("n", 1), ("y", 0)):
        said = at_terminal(environment, "newsletter", "stop", name, answer=answer)
        assert (said.returncode, question in said.stdout) == (code, True)
        assert is_stopped(services) == (answer == "y")
    with services.writing.begin() as session:
        other = queue_at_once(worker, session, "asian").public_id
    said = at_terminal(environment, "newsletter", "stop", other, "--yes")
    assert (said.returncode, "Stop it for good?" in said.stdout) == (0, False)
    done = run(environment, "purge")
    assert (done.returncode, "Go on?" in done.stdout + done.stderr) == (0, False)


@on_sqlite
def test_a_restore_that_is_not_wanted_leaves_the_database(
    environment, worker, services, keyring, tmp_path
):
    copy = str(tmp_path / "copy")
    assert run(environment, "db", "backup", copy).returncode == 0
    name = issue(worker, services, keyring)
    said = at_terminal(environment, "db", "restore", copy, answer="n")
    assert (said.returncode, "What is in the database now is lost." in said.stdout) == (1, True)
    with services.reading.begin() as session:
        assert session.scalar(select(Newsletter.public_id)) == name


@on_sqlite
def test_long_work_shows_how_far_it_is_at_a_terminal_alone(environment, services, tmp_path):
    demo = ("demo", "--group", "asian", "--members", "1000")
    shown = at_terminal(environment, *demo).stdout
    assert "Members" in shown
    assert "100%" in shown
    with services.reading.begin() as session:
        assert members_of(session, "asian") == 1000
    elsewhere = run(environment, *demo)
    assert (elsewhere.stdout, elsewhere.stderr) == ("Made-up members added to asian: 1000.\n", "")
    backup = at_terminal(environment, "db", "backup", str(tmp_path / "copy")).stdout
    assert "Copying the database …" in backup
    drill = at_terminal(environment, "db", "drill", str(tmp_path / "copy")).stdout
    assert "Trying the copy …" in drill


@on_sqlite
def test_a_worker_that_drains_shows_what_still_waits(environment, worker, services, keyring):
    issue(worker, services, keyring)
    shown = at_terminal(environment, "worker", "--drain")
    assert shown.returncode == 0
    assert "Still waiting: 2 queued" in shown.stdout
    assert shown.stdout.rstrip().endswith("Nothing is waiting.")
    with services.reading.begin() as session:
        assert session.scalar(select(func.count(Delivery.id))) == 2
