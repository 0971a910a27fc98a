"""A systemd unit, started as systemd would: user, groups, settings, command."""

import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.production.users import User


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
