"""Commands' words to a person at a terminal, and to scripts: examples, questions, a bar."""

import os
import pty
import shlex
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from multiprocessing.connection import wait as wait_for

import click
import pytest
from sqlalchemy import func, select

from belong_mail.delivery.models import Delivery
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import cli as cli_module
from tests.factories import make_members, members_of, queue_at_once
from tests.markers import on_sqlite
from tests.processes import SECONDS, ended, fork, run


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """List all commands by their whole names; those of groups, too."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield name, command
    for each, below in getattr(command, "commands", {}).items():
        yield from leaves(below, f"{name} {each}")


EVERY = {
    name: command
    for entry in cli_module.ENTRIES
    for name, command in leaves(cli_module.load(entry), entry)
}


@pytest.mark.parametrize("name", sorted({"", *EVERY, *(each.split()[0] for each in EVERY)}))
def test_each_command_explains_itself_and_lists_those_below_in_one_whole_line(name, cli):
    """Click cuts a long line with “...”."""
    shown = cli.invoke(args=[*name.split(), "--help"]).output
    lines = shown.splitlines()
    assert lines[0].startswith("Usage: ")
    assert lines[2].strip()
    assert name not in cli_module.ENTRIES or cli_module.ENTRIES[name][1] == lines[2].strip()
    below = [each.split(maxsplit=1) for each in shown.partition("\nCommands:\n")[2].splitlines()]
    assert [each for each in below if each and not each[-1].endswith(".")] == []
    assert "..." not in shown.partition("\nCommands:\n")[2]


@pytest.mark.parametrize("name", EVERY)
def test_each_command_has_an_example_that_names_what_it_takes(name):
    command = EVERY[name]
    said = command.epilog or (command.help or "").rpartition("\n\n")[2].strip()
    assert said.startswith("Example: "), "no example"
    assert "@" not in said, "what is typed stands in the machine's log"
    words = shlex.split(said.removeprefix("Example: "))
    start = next(at for at in range(len(words)) if words[at:][: len(name.split())] == name.split())
    assert words[start - 1].endswith("belong")
    known = {option for each in command.params for option in each.opts}
    own = list(takewhile(lambda word: word != "||", words[start + len(name.split()) :]))
    assert {word for word in own if word.startswith("--")} <= known
    taken = [each for each in command.params if isinstance(each, click.Argument) and each.required]
    assert len([word for word in own if not word.startswith("-")]) >= len(taken)

    for option in command.params:
        if isinstance(option.type, click.DateTime | click.Choice):
            for word in [words[at + 1] for at, each in enumerate(words) if each in option.opts]:
                option.type.convert(word, option, None)


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
