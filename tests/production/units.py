"""A systemd unit, started as systemd would: user, groups, settings, command."""

import os
import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Unit:
    """A `.service` file."""

    def __init__(self, file: Path) -> None:
        self.said: dict[str, list[str]] = defaultdict(list)
        for line in file.read_text().splitlines():
            name, is_said, value = line.partition("=")
            if is_said:
                self.said[name].append(value)

    def one(self, name: str) -> str:
        [value] = self.said[name]
        return value

    def environment(self) -> dict[str, str]:
        """Return the settings of its files and lines, and nothing else."""
        given = dict(each.split("=", 1) for each in self.said["Environment"])
        for file in self.said["EnvironmentFile"]:
            given |= settings(Path(file))
        return given

    def start(self, surroundings: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Begin its command; both users are in the group `belong`, as the guide has it."""
        user = User(self.one("User"), self.one("Group"), ("belong",))
        with log.open("ab") as out:
            return subprocess.Popen(
                shlex.split(self.one("ExecStart")),
                cwd=self.one("WorkingDirectory"),
                env={**surroundings, **self.environment()},
                umask=int(self.one("UMask"), 8),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **user.options(),
            )


def settings(file: Path) -> dict[str, str]:
    """Read a file of settings: NAME=value, perhaps in quotes."""
    lines = re.findall(r"^([A-Z0-9_]+)=(.*)$", file.read_text(), re.MULTILINE)
    return {name: re.sub(r"""^(['\"])(.*)\1$""", r"\2", value) for name, value in lines}


IS_ROOT = os.geteuid() == 0
# Numbers that nobody has: a process may be theirs all the same.
IDS = {"belong": 61_001, "belong-web": 61_002, "belong-worker": 61_003, "nginx": 61_004}
NAMES = {"root": 0, **IDS} if IS_ROOT else {}


@dataclass(frozen=True)
class User:
    """Somebody whom a process can be: a user with a group, and further groups."""

    name: str
    group: str = ""
    groups: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return what makes a new process theirs."""
        if not IS_ROOT:
            return {}
        further = [IDS[each] for each in self.groups]
        return {
            "user": IDS[self.name],
            "group": IDS[self.group or self.name],
            "extra_groups": further,
        }

    def run(
        self, command: list[str], env: Mapping[str, str], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=env, check=False, capture_output=True, text=True, **self.options(),
            **{"timeout": 60, "cwd": "/", **options},
        )  # fmt: skip


WORKER = User("belong-worker", groups=("belong",))


def with_numbers(script: str) -> str:
    """Put numbers in the place of names where a script gives a file to somebody."""
    users = NAMES or dict.fromkeys(["root", *IDS], os.geteuid())
    groups = NAMES or dict.fromkeys(["root", *IDS], os.getegid())

    def numbers(found: re.Match[str]) -> str:
        before, user, between, group = found.groups()
        return f"{before}{users[user]}{between}{groups[group]}"

    return re.sub(r"(-o |chown )([\w-]+)( -g |:)([\w-]+)", numbers, script)


def sudo() -> str:
    """Write what stands in for `sudo -u belong-worker`."""
    setpriv = shutil.which("setpriv")
    if not IS_ROOT or setpriv is None:
        return 'shift 2; exec "$@"'
    own = IDS["belong-worker"]
    return f'shift 2; exec {setpriv} --reuid={own} --regid={own} --groups={IDS["belong"]} "$@"'


def give(path: Path, name: str) -> None:
    if IS_ROOT:
        os.chown(path, IDS[name], IDS[name])
