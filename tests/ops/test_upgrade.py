"""`belong upgrade` in a checkout of its own, cut off before each program that it calls."""

import os
import subprocess
from pathlib import Path

import click
import pytest

from belong_mail.ops.upgrade_command import BUILDS, LINK, upgrade

# Each notes that it was called, by which build; the cut-off one ends all, as a power cut would.
CALLED = """\
#!/bin/sh
cd {home}
echo "$(readlink .venv) ${{0##*/}} $*" >> {log}
if [ "$(wc -l < {log})" = "$(cat {cut})" ]; then kill -9 0; fi
"""
PROGRAMS = {
    "python3": 'rm -rf "$4"; mkdir -p "$4/bin"; cp {programs}/pip {programs}/python "$4/bin"\n',
    "pip": "",
    "python": "",
    "sudo": 'test ! -e {home}/no-"$5"\n',
    "systemctl": "",
    "git": (
        'test "$2" != get-url || exec echo https://me:pa55@git.example.org/belong\n'
        'exec /usr/bin/git "$@"\n'
    ),
    **{name: f'exec /usr/bin/{name} "$@"\n' for name in ("mv", "ln", "rm")},
}
OLD, NEW = BUILDS
CALLS = 23


class Machine:
    """A checkout of version 1.0.9 with a logo of its own, whose origin has 1.0.10."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log, self.cut = folder / "home", folder / "log", folder / "cut"
        self.programs = folder / "programs"
        self.programs.mkdir()
        origin = folder / "origin"
        origin.mkdir()
        self.git("init", "-q", at=origin)
        for version in ("1.0.9", "1.0.10"):
            (origin / "version").write_text(version)
            (origin / "logo.svg").write_text("ours")
            self.git("add", "-A", at=origin)
            self.git("commit", "-qm", version, at=origin)
            self.git("tag", f"v{version}", at=origin)
        self.git("clone", "-q", str(origin), str(self.home), at=folder)
        self.git("checkout", "-q", "v1.0.9", at=self.home)
        (self.home / "logo.svg").write_text("theirs")
        (self.home / OLD).mkdir()
        (self.home / LINK).symlink_to(OLD)
        self.cut.write_text("0")
        places = {"home": self.home, "log": self.log, "cut": self.cut, "programs": self.programs}
        for name, does in PROGRAMS.items():
            program = self.programs / name
            program.write_text((CALLED + does).format(**places))
            program.chmod(0o755)

    def git(self, *arguments: str, at: Path) -> str:
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        return subprocess.check_output(["/usr/bin/git", *who, *arguments], cwd=at, text=True)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def run(self, cut: int = 0) -> int:
        """Upgrade in a process of its own, which ends before a call if it is told to."""
        self.log.unlink(missing_ok=True)
        self.cut.write_text(str(cut))
        child = os.fork()
        if child == 0:
            os.setsid()
            os.environ["PATH"] = f"{self.programs}:{os.environ['PATH']}"
            is_new = (self.home / LINK).readlink().name == NEW
            code = 2
            try:
                upgrade(self.home, "1.0.10" if is_new else "1.0.9")
                code = 0
            except click.ClickException as error:
                error.show()
                code = 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def require_upgraded(machine: Machine) -> None:
    assert (machine.home / LINK).readlink().name == NEW
    assert (machine.home / "version").read_text() == "1.0.10"
    assert (machine.home / "logo.svg").read_text() == "theirs"
    assert sorted(each.name for each in machine.home.glob(".changed*")) == []
    assert machine.calls[-4:] == [
        f"{NEW} sudo -u belong-worker belong db upgrade",
        f"{NEW} sudo -u belong-worker belong db check",
        f"{NEW} systemctl start belong-web belong-worker",
        f"{NEW} sudo -u belong-worker belong doctor",
    ]


def test_an_upgrade_copies_by_the_old_version_and_changes_while_nothing_runs(machine, capfd):
    """The second time it brings up to date, starts and asks the doctor."""
    assert machine.run() == 0
    require_upgraded(machine)
    assert len(machine.calls) == CALLS
    at = {call.split(" ", 1)[1]: number for number, call in enumerate(machine.calls)}
    by = {call.split(" ", 1)[1]: call.split(" ", 1)[0] for call in machine.calls}
    copied = "sudo -u belong-worker belong db backup /var/lib/belong-worker/before-upgrades"
    stopped = "systemctl stop belong-worker belong-web"
    assert by[copied] == by[stopped] == OLD
    assert at["pip install --quiet --no-deps --no-build-isolation ."] < at[copied] < at[stopped]
    assert at[stopped] < at["mv -T .venv-next .venv"]
    said = capfd.readouterr().out
    assert "Installed: 1.0.9. Newest: v1.0.10, from https://git.example.org/belong." in said
    assert "8 of 8. Ask the doctor …" in said
    assert machine.run() == 0
    require_upgraded(machine)
    assert not [call for call in machine.calls if "stop" in call or "backup" in call]


@pytest.mark.parametrize("cut", range(1, CALLS + 1))
def test_an_upgrade_cut_off_before_any_call_goes_on_when_it_is_run_again(machine, cut):
    assert machine.run(cut) != 0
    first = machine.calls
    assert (machine.home / LINK).is_symlink()  # so there is a `belong` to run again
    assert machine.run() == 0
    require_upgraded(machine)
    calls = [*first[:-1], *machine.calls]
    assert {call.split()[0] for call in calls if "db backup" in call} == {OLD}
    assert {call.split()[0] for call in calls if "db upgrade" in call} == {NEW}


def test_an_upgrade_repairs_a_checkout_that_git_left_half_replaced(machine):
    machine.run(cut=7)
    (machine.home / ".git/index.lock").touch()
    (machine.home / "version").write_text("1.")
    assert machine.run() == 0
    require_upgraded(machine)


@pytest.mark.parametrize(("command", "step"), [("backup", 3), ("upgrade", 6)])
def test_a_step_that_fails_is_named_and_nothing_after_it_is_done(machine, command, step, capfd):
    (machine.home / f"no-{command}").touch()
    assert machine.run() == 1
    assert f"Step {step} failed; see above." in capfd.readouterr().err
    assert f"belong db {command}" in machine.calls[-1]
    (machine.home / f"no-{command}").unlink()
    assert machine.run() == 0
    require_upgraded(machine)


def test_a_doctor_who_finds_something_does_not_make_the_upgrade_a_failed_one(machine, capfd):
    (machine.home / "no-").touch()
    assert machine.run() == 1
    require_upgraded(machine)
    assert "The new version runs, but the doctor found something" in capfd.readouterr().err


def test_without_its_origin_nothing_is_changed(machine, capfd):
    (machine.home.parent / "origin").rename(machine.home.parent / "moved")
    assert machine.run() == 1
    assert "git fetch failed; see above. Nothing was changed." in capfd.readouterr().err
    assert (machine.home / LINK).readlink().name == OLD
